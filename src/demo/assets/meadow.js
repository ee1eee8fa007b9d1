// Keeps the numbers on the page fresh; without it the page loads itself anew.
"use strict";
(() => {
  const page = document.body.dataset.page;
  const places = document.querySelectorAll("[data-live]");
  const bar = document.querySelector("progress");
  const list = document.querySelector("[data-events]");

  const say = (place, text) => {
    if (place.textContent !== text) place.textContent = text;
  };

  const show = (live) => {
    for (const place of places) {
      say(place, live[place.dataset.live] ?? "");
    }
    for (const box of document.querySelectorAll("[data-when]")) {
      box.hidden = !live[box.dataset.when];
    }
    if (bar) {
      bar.max = Math.max(live.life_seconds, 1);
      bar.value = live.left_seconds;
    }
    if (list) {
      while (list.children.length > live.events.length) list.lastElementChild.remove();
      live.events.forEach((event, at) => {
        let item = list.children[at];
        if (!item) {
          item = document.createElement("li");
          item.append(document.createElement("span"), " ", document.createElement("small"));
          list.append(item);
        }
        say(item.querySelector("span"), event.text);
        say(item.querySelector("small"), event.ago);
      });
    }
  };

  const look = async () => {
    try {
      const answer = await fetch("/status.json", { cache: "no-store" });
      const live = await answer.json();
      if (live.page !== page) {
        location.reload();
        return;
      }
      show(live);
    } catch {
      // The app itself is gone; what the page shows is the last that was known.
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
})();
