// Signs in with a code and PKCE, renews by refresh token before the access token ends, and learns
// from a refused refresh that the server has ended it. `oidc` is oidc-client-ts.
const { ErrorResponse, Log, UserManager, WebStorageStateStore } = globalThis.oidc;

Log.setLogger(console);
Log.setLevel(Log.NONE);

const settings = await (await fetch("/settings.json")).json();

/** How long before its end the access token is renewed, in seconds. */
const AHEAD = 8;

class Manager extends UserManager {
  /**
   * The tabs of a browser share their tokens. One of them renews at a time; one that waited for
   * another takes what that one got.
   */
  signinSilent(args) {
    return navigator.locks.request("renew", async () => {
      const stored = await this.getUser();
      if (stored && stored.access_token !== shown?.access_token) return this.getUser(true);
      return super.signinSilent(args);
    });
  }
}

const manager = new Manager({
  authority: settings.issuer,
  client_id: settings.client_id,
  scope: settings.scope,
  redirect_uri: `${location.origin}/callback`,
  post_logout_redirect_uri: `${location.origin}/signed-out`,
  // Shared by the tabs, and kept when one is loaded anew. A script of somebody else's in this page
  // could read it from any store: the Content-Security-Policy keeps such scripts out.
  userStore: new WebStorageStateStore({ store: localStorage }),
  loadUserInfo: true,
  automaticSilentRenew: true,
  accessTokenExpiringNotificationTimeInSeconds: AHEAD,
  // Signing out ends the refresh token as well.
  revokeTokensOnSignout: true,
  revokeTokenTypes: ["refresh_token"],
});

/** The user that the page shows. */
let shown = null;
let renewals = 0;

manager.events.addUserLoaded((user) => {
  if (shown) renewals += 1;
  show(user);
});
manager.events.addSilentRenewError(renewalFailed);

// Another tab signed in, renewed or signed out.
addEventListener("storage", async (event) => {
  if (event.key?.startsWith("oidc.user:") && !(await manager.getUser(true))) show(null);
});

button("sign-in", () => manager.signinRedirect());
button("sign-out", () => manager.signoutRedirect());
button("refresh", async () => {
  try {
    await manager.signinSilent();
  } catch (error) {
    await renewalFailed(error);
  }
});
button("call", async () => {
  const { access_token } = await manager.getUser();
  const answer = await fetch(`${settings.api}/notes`, { headers: { authorization: `Bearer ${access_token}` } });
  if (!answer.ok) throw new Error(`The API answered ${answer.status}: ${answer.headers.get("www-authenticate")}`);
  const { notes } = await answer.json();
  element("notes").replaceChildren(...notes.map((note) => make("li", note)));
});

try {
  await start();
} catch (error) {
  history.replaceState(null, "", "/");
  show(null, `That did not work: ${error.message}`);
}

async function start() {
  if (location.pathname === "/callback") {
    const user = await manager.signinRedirectCallback();
    history.replaceState(null, "", "/");
    return show(user);
  }
  if (location.pathname === "/signed-out") {
    await manager.signoutRedirectCallback();
    history.replaceState(null, "", "/");
  }
  const user = await manager.getUser();
  show(user);
  // It ended while no tab was open.
  if (user?.expired) await manager.signinSilent().catch(renewalFailed);
}

/** A definite no ends the sign-in here too; anything else may pass, and is tried again. */
async function renewalFailed(error) {
  if (error instanceof ErrorResponse && error.error === "invalid_grant") {
    await manager.removeUser();
    return show(null, error.error_description, "Signed out by the server");
  }
  element("message").textContent = `The server can’t be reached: ${error.message}. Trying again.`;
  setTimeout(() => manager.signinSilent().catch(renewalFailed), 5000);
}

function show(user, message = "", title = "Signed out") {
  shown = user;
  element("sign-in").hidden = Boolean(user);
  element("signed-in").hidden = !user;
  element("message").textContent = message || (user ? "" : "Nobody is signed in.");
  element("title").textContent = user ? `Hello, ${user.profile.name ?? user.profile.sub}` : title;
  if (!user) {
    renewals = 0;
    return element("notes").replaceChildren();
  }
  const at = new Date((user.expires_at - AHEAD) * 1000).toLocaleTimeString();
  const times = renewals === 1 ? "once" : `${renewals} times`;
  element("renewal").textContent = `Refreshed ${times}. The access token is renewed at ${at}.`;
  element("claims").replaceChildren(
    ...Object.entries(user.profile).map(([name, value]) => {
      const row = make("tr");
      const head = make("th", name);
      head.scope = "row";
      row.append(head, make("td", typeof value === "object" ? JSON.stringify(value) : value));
      return row;
    }),
  );
}

function button(id, action) {
  element(id).addEventListener("click", async () => {
    try {
      await action();
    } catch (error) {
      element("message").textContent = `That did not work: ${error.message}`;
    }
  });
}

function element(id) {
  return document.getElementById(id);
}

function make(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
