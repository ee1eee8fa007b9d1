// Everything that the app says to the authorization server.
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";
import { config } from "./config.js";

const redirectUri = `${config.baseUrl}/callback`;
const signedOutUri = `${config.baseUrl}/signed-out`;

let discovered;

/** The server's metadata. Asked for once; again if the server was not there. */
function server() {
  discovered ??= discover().catch((error) => {
    discovered = undefined;
    throw error;
  });
  return discovered;
}

async function discover() {
  const issuer = new URL(config.issuer);
  const found = await client.discovery(
    issuer,
    config.clientId,
    undefined,
    client.ClientSecretBasic(config.clientSecret),
    // TLS everywhere but on this machine.
    { execute: issuer.hostname === "localhost" ? [client.allowInsecureRequests] : [] },
  );
  // Verify the signatures of ID tokens too, not only where they came from.
  client.enableNonRepudiationChecks(found);
  return { found, keys: createRemoteJWKSet(new URL(found.serverMetadata().jwks_uri)) };
}

/** Where to send the browser, and what to hold its answer against. */
export async function beginSignIn() {
  const { found } = await server();
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
  };
  const url = client.buildAuthorizationUrl(found, {
    redirect_uri: redirectUri,
    scope: config.scope,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
  });
  return { url, checks };
}

/** Trades the code in the callback's address for tokens. */
export async function finishSignIn(query, checks) {
  const { found } = await server();
  const callback = new URL(redirectUri);
  callback.search = query;
  return tokensOf(
    await client.authorizationCodeGrant(found, callback, { ...checks, idTokenExpected: true }),
  );
}

/** New tokens for a refresh token. */
export async function refresh(refreshToken) {
  const { found } = await server();
  return tokensOf(await client.refreshTokenGrant(found, refreshToken));
}

/** Whether an error is the server's definite no to a refresh token. Anything else may pass. */
export function isRefusal(error) {
  return error instanceof client.ResponseBodyError && error.error === "invalid_grant";
}

/** What the server says in plain words, or else what happened. */
export function reasonOf(error) {
  return error.error_description ?? error.cause?.message ?? error.message;
}

/** What the server knows of the person. */
export async function userInfo(accessToken, subject) {
  const { found } = await server();
  return client.fetchUserInfo(found, accessToken, subject);
}

/** Ends the refresh token at the server, and says where the browser goes to sign out there. */
export async function endSignIn(tokens, state) {
  const { found } = await server();
  if (tokens.refreshToken) {
    await client.tokenRevocation(found, tokens.refreshToken);
  }
  return client.buildEndSessionUrl(found, {
    id_token_hint: tokens.idToken,
    post_logout_redirect_uri: signedOutUri,
    state,
  });
}

export const randomState = client.randomState;

const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";
const seenLogoutTokens = new Map();

/**
 * Verifies a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6), and returns whom it
 * names. Undefined for one that was here before: the server asks again when our answer was lost.
 */
export async function verifyLogoutToken(token) {
  const { found, keys } = await server();
  const metadata = found.serverMetadata();
  const { payload } = await jwtVerify(token, keys, {
    issuer: metadata.issuer,
    audience: config.clientId,
    typ: "logout+jwt",
    algorithms: metadata.id_token_signing_alg_values_supported,
    requiredClaims: ["iat", "exp", "jti", "events"],
    clockTolerance: 5,
  });
  if (!(payload.events[LOGOUT_EVENT] instanceof Object)) throw new Error("not a logout token");
  if ("nonce" in payload) throw new Error("a logout token has no nonce");
  if (!payload.sub && !payload.sid) throw new Error("it names neither a person nor a session");
  const now = Date.now() / 1000;
  for (const [jti, exp] of seenLogoutTokens) if (exp + 5 < now) seenLogoutTokens.delete(jti);
  if (seenLogoutTokens.has(payload.jti)) return undefined;
  seenLogoutTokens.set(payload.jti, payload.exp);
  return payload;
}

function tokensOf(answer) {
  const lifeSeconds = answer.expiresIn() ?? 60;
  return {
    accessToken: answer.access_token,
    expiresAt: Date.now() + lifeSeconds * 1000,
    lifeSeconds,
    refreshToken: answer.refresh_token,
    idToken: answer.id_token,
    claims: answer.claims(),
  };
}
