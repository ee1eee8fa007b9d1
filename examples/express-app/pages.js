// The app's few pages. Everything that goes into one is escaped.

export function home({ signIn, renewsAt }) {
  if (!signIn) {
    return page("Signed out", "<p>Nobody is signed in.</p>" + button("/sign-in", "Sign in"));
  }
  if (signIn.ended) {
    return page(
      "Signed out by the server",
      `<p id="reason">${escape(signIn.ended)}</p>` + button("/sign-in", "Sign in again"),
    );
  }
  const { tokens, profile, sub } = signIn;
  const times = signIn.refreshes === 1 ? "once" : `${signIn.refreshes} times`;
  return page(
    `Hello, ${profile.name ?? profile.preferred_username ?? sub}`,
    `<p>Refreshed ${times}. The access token is renewed after
     <time datetime="${new Date(renewsAt).toISOString()}">${new Date(renewsAt).toLocaleTimeString()}</time>,
     by the first page that needs it.</p>
     <nav><a href="/">This page again</a> <a href="/profile">Profile</a> <a href="/notes">Notes</a></nav>
     ${button("/refresh", "Refresh now")} ${button("/sign-out", "Sign out")}
     <h2>What the ID token says</h2>
     ${table(tokens.claims)}`,
  );
}

export function profile(claims) {
  return page("Profile", `<p>From the server’s UserInfo endpoint.</p>${table(claims)}${back}`);
}

export function notes(list) {
  const items = list.map((note) => `<li>${escape(note)}</li>`).join("");
  return page("Notes", `<p>From the API, by the access token.</p><ul>${items}</ul>${back}`);
}

export function trouble(what) {
  return page("That did not work", `<p>${escape(what)}</p>${back}`);
}

const back = '<nav><a href="/">Back</a></nav>';

function button(action, text) {
  return `<form method="post" action="${action}"><button>${text}</button></form>`;
}

function table(claims) {
  const rows = Object.entries(claims).map(
    ([name, value]) =>
      `<tr><th scope="row">${escape(name)}</th><td>${escape(typeof value === "object" ? JSON.stringify(value) : value)}</td></tr>`,
  );
  return `<table>${rows.join("")}</table>`;
}

function page(title, body) {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)} · Express app</title>
  <link rel="stylesheet" href="/style.css">
  <script src="/refresh.js" defer></script>
</head>
<body><main><h1>${escape(title)}</h1>${body}</main></body>
</html>`;
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}
