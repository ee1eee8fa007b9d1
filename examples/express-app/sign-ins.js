// Who is signed in, with their tokens: they stay here, and a browser only has a session's cookie.
// It is memory, so that sign-ins end with the process. An app with several processes keeps them in
// a database; two that refresh at the same time both get the same new tokens, since the server
// takes the second request for a retry of the first.
import { randomUUID } from "node:crypto";
import { isRefusal, reasonOf, refresh } from "./oidc.js";

const AHEAD = 5_000;
const KEPT = 12 * 60 * 60 * 1000;

const signIns = new Map();

/** Remembers a sign-in, and returns its id. */
export function add(tokens, profile) {
  const now = Date.now();
  for (const [id, { since }] of signIns) if (since + KEPT < now) signIns.delete(id);
  const id = randomUUID();
  const { sub, sid } = tokens.claims;
  signIns.set(id, { id, since: now, sub, sid, profile, tokens, refreshes: 0, ended: null, refreshing: null });
  return id;
}

export function get(id) {
  return signIns.get(id);
}

/** Forgets a sign-in: its person signed out. */
export function remove(signIn) {
  signIn.ended ??= "You signed out.";
  signIns.delete(signIn.id);
}

/** Ends what a logout token names: the sign-ins of a session, or all of a person's. */
export function endByServer({ sub, sid }, reason) {
  for (const signIn of signIns.values()) {
    const named = (!sid || signIn.sid === sid) && (!sub || signIn.sub === sub);
    if (named) end(signIn, reason);
  }
}

/** When its access token will be renewed, in milliseconds since 1970. */
export function renewsAt({ tokens }) {
  return tokens.expiresAt - Math.min(AHEAD, (tokens.lifeSeconds * 1000) / 2);
}

/** Whether its access token should be renewed before it is used again. */
export function isDue(signIn) {
  return Date.now() >= renewsAt(signIn);
}

/**
 * Renews a sign-in's tokens. Whoever asks while it is under way shares it: one refresh at a time
 * for each sign-in. Says "renewed", "refused" (the sign-in has ended) or "unavailable" (nothing is
 * decided, and the same refresh token is good for another try).
 */
export function renew(signIn) {
  signIn.refreshing ??= renewOnce(signIn).finally(() => {
    signIn.refreshing = null;
  });
  return signIn.refreshing;
}

async function renewOnce(signIn) {
  const { refreshToken } = signIn.tokens;
  if (signIn.ended) return "refused";
  if (!refreshToken) {
    end(signIn, "The sign-in is over, and the server gave nothing to renew it with.");
    return "refused";
  }
  let tokens;
  try {
    tokens = await refresh(refreshToken);
  } catch (error) {
    if (!isRefusal(error)) {
      console.error(`refresh: ${reasonOf(error)}`);
      return "unavailable";
    }
    end(signIn, reasonOf(error));
    return "refused";
  }
  // It ended while the answer was under way.
  if (signIn.ended) return "refused";
  if (tokens.claims && tokens.claims.sub !== signIn.sub) {
    end(signIn, "The server answered for somebody else.");
    return "refused";
  }
  signIn.tokens = {
    ...tokens,
    // An answer may leave out what stays as it is.
    refreshToken: tokens.refreshToken ?? refreshToken,
    idToken: tokens.idToken ?? signIn.tokens.idToken,
    claims: tokens.claims ?? signIn.tokens.claims,
  };
  signIn.refreshes += 1;
  return "renewed";
}

function end(signIn, reason) {
  if (signIn.ended) return;
  signIn.ended = reason;
  signIn.tokens = { ...signIn.tokens, accessToken: null, refreshToken: null };
}
