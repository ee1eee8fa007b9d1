// "Refresh now" without leaving the page. The answer is JSON: 200 with new times, 401 without a
// session, 403 when the server refused; the page tells each of them by itself.
document.querySelector("form[action='/refresh']")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch("/refresh", { method: "POST" });
  location.assign("/");
});
