// An Express app whose people stay signed in: the refresh token never leaves this process.
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import express from "express";
import session from "express-session";
import { config } from "./config.js";
import * as oidc from "./oidc.js";
import * as pages from "./pages.js";
import * as signIns from "./sign-ins.js";

const secure = config.baseUrl.startsWith("https:");
const app = express();
app.disable("x-powered-by");
if (secure) app.set("trust proxy", 1);

app.use((request, response, next) => {
  response.set({
    "Content-Security-Policy": `default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self' ${new URL(config.issuer).origin}; frame-ancestors 'none'; base-uri 'none'`,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
  });
  next();
});
app.get("/favicon.ico", (request, response) => response.status(204).end());
app.use(express.static(fileURLToPath(new URL("public", import.meta.url)), { index: false }));

// The server's own call: no browser, no session. It comes before both.
app.post("/backchannel-logout", express.urlencoded({ extended: false }), async (request, response) => {
  try {
    const named = await oidc.verifyLogoutToken(request.body?.logout_token ?? "");
    if (named) signIns.endByServer(named, "You were signed out by the server.");
    response.status(200).end();
  } catch (error) {
    response.status(400).json({ error: "invalid_request", error_description: error.message });
  }
});

app.use(
  session({
    // Cookies ignore ports: each app of a machine needs a name of its own.
    name: secure ? "__Host-express-app" : "express-app",
    secret: process.env.SESSION_SECRET ?? randomBytes(32).toString("base64url"),
    cookie: { httpOnly: true, sameSite: "lax", secure, path: "/" },
    resave: false,
    saveUninitialized: false,
  }),
);

// A form of another site, or of another app on this machine, changes nothing here.
app.use((request, response, next) => {
  const from = request.get("sec-fetch-site") ?? "none";
  if (request.method !== "POST" || from === "same-origin" || from === "none") return next();
  response.status(400).json({ error: "cross_site", error_description: "This came from another site." });
});

app.use((request, response, next) => {
  request.signIn = signIns.get(request.session.signIn);
  next();
});

app.get("/", renewIfDue, (request, response) => {
  const { signIn } = request;
  response.send(pages.home({ signIn, renewsAt: signIn && signIns.renewsAt(signIn) }));
});

app.post("/sign-in", async (request, response) => {
  const { url, checks } = await oidc.beginSignIn();
  // By their state: a second tab's sign-in doesn't spoil the first one's.
  const begun = Object.entries(request.session.begun ?? {}).slice(-4);
  request.session.begun = { ...Object.fromEntries(begun), [checks.expectedState]: checks };
  response.redirect(303, url.href);
});

app.get("/callback", async (request, response) => {
  const checks = request.session.begun?.[request.query.state];
  if (!checks) return response.status(400).send(pages.trouble("This browser did not begin that sign-in."));
  // Good for one answer.
  delete request.session.begun[request.query.state];
  let tokens, profile;
  try {
    tokens = await oidc.finishSignIn(new URL(request.originalUrl, config.baseUrl).search, checks);
    profile = await oidc.userInfo(tokens.accessToken, tokens.claims.sub);
  } catch (error) {
    return response.status(400).send(pages.trouble(oidc.reasonOf(error)));
  }
  if (request.signIn) signIns.remove(request.signIn);
  // A new session for a new sign-in: nobody could have planted its cookie.
  await newSession(request);
  request.session.signIn = signIns.add(tokens, profile);
  response.redirect(303, "/");
});

app.get("/profile", renewIfDue, needsSignIn, async (request, response) => {
  const { signIn } = request;
  signIn.profile = await oidc.userInfo(signIn.tokens.accessToken, signIn.sub);
  response.send(pages.profile(signIn.profile));
});

app.get("/notes", renewIfDue, needsSignIn, async (request, response) => {
  const answer = await fetch(new URL("/notes", config.apiUrl), {
    headers: { authorization: `Bearer ${request.signIn.tokens.accessToken}` },
  });
  if (!answer.ok) {
    const why = answer.headers.get("www-authenticate") ?? answer.statusText;
    return response.status(502).send(pages.trouble(`The API answered ${answer.status}: ${why}`));
  }
  response.send(pages.notes((await answer.json()).notes));
});

// For the app's own scripts, and for the button. Exactly one answer, always JSON: 401 when the
// browser has no session, 403 when the server refused the token, 503 when nothing is decided.
app.post("/refresh", async (request, response) => {
  const { signIn } = request;
  if (!signIn) return response.status(401).json({ error: "no_session" });
  const outcome = await signIns.renew(signIn);
  if (outcome === "refused") {
    return response.status(403).json({ error: "refused", error_description: signIn.ended });
  }
  if (outcome === "unavailable") {
    return response.status(503).set("Retry-After", "5").json({ error: "unavailable" });
  }
  response.json({ refreshes: signIn.refreshes, renews_at: new Date(signIns.renewsAt(signIn)).toISOString() });
});

app.post("/sign-out", async (request, response) => {
  const { signIn } = request;
  const live = signIn && !signIn.ended;
  // Here first: whatever the server says, this browser is signed out.
  if (signIn) signIns.remove(signIn);
  await newSession(request);
  if (!live) return response.redirect(303, "/");
  const state = oidc.randomState();
  request.session.signedOutState = state;
  response.redirect(303, (await oidc.endSignIn(signIn.tokens, state)).href);
});

app.get("/signed-out", (request, response) => {
  const expected = request.session.signedOutState;
  delete request.session.signedOutState;
  if (!expected || request.query.state !== expected) {
    return response.status(400).send(pages.trouble("This browser did not ask to sign out."));
  }
  response.redirect(303, "/");
});

app.use((error, request, response, next) => {
  console.error(`${request.method} ${request.path}: ${oidc.reasonOf(error)}`);
  if (response.headersSent) return next(error);
  if (request.method === "POST" && request.path === "/refresh") {
    return response.status(500).json({ error: "failed" });
  }
  response.status(502).send(pages.trouble(oidc.reasonOf(error)));
});

/** Silent refresh: whoever comes with a token that is about to end gets a new one first. */
async function renewIfDue(request, response, next) {
  const { signIn } = request;
  if (!signIn || signIn.ended || !signIns.isDue(signIn)) return next();
  const outcome = await signIns.renew(signIn);
  // The old token is good until it ends.
  if (outcome === "unavailable" && Date.now() >= signIn.tokens.expiresAt) {
    const later = "The server can’t be reached just now. You are still signed in; try again soon.";
    return response.status(503).set("Retry-After", "5").send(pages.trouble(later));
  }
  next();
}

function needsSignIn(request, response, next) {
  if (request.signIn && !request.signIn.ended) return next();
  response.redirect(303, "/");
}

function newSession(request) {
  return new Promise((resolve, reject) => {
    request.session.regenerate((error) => (error ? reject(error) : resolve()));
  });
}

app.listen(config.port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`The Express app is at ${config.baseUrl}`);
});
