// Signs in with openid-client as it comes from npm, with an ID token that it verifies by the keys
// that it discovers, asks for UserInfo, refreshes, revokes, and signs out.
//
//   node openid-client-oidc.mjs ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI POST_LOGOUT_URI USERNAME PASSWORD ALG
import assert from "node:assert/strict";
import * as client from "openid-client";
import { Browser } from "./browser.mjs";

const [issuer, clientId, secret, method, redirectUri, postLogoutUri, username, password, alg] = process.argv.slice(2);
const scope = "openid profile email offline_access";

const authentication = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(secret),
  client_secret_post: () => client.ClientSecretPost(secret),
}[method]();
const config = await client.discovery(
  new URL(issuer),
  clientId,
  { id_token_signed_response_alg: alg },
  authentication,
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
);
assert.equal(config.serverMetadata().issuer, issuer);
const browser = new Browser(username, password);

const first = await signIn();
const claims = first.claims();
assert.equal(claims.iss, issuer);
const info = await client.fetchUserInfo(config, first.access_token, claims.sub);
assert.equal(info.preferred_username, username);
assert.equal(info.email, `${username}@example.com`);

let last = first;
for (let turn = 0; turn < 3; turn += 1) {
  last = await client.refreshTokenGrant(config, last.refresh_token);
  const renewed = last.claims();
  for (const name of ["iss", "sub", "aud", "auth_time", "sid"]) {
    assert.deepEqual(renewed[name], claims[name], name);
  }
  assert.ok(renewed.iat >= claims.iat);
  const again = await client.fetchUserInfo(config, last.access_token, claims.sub);
  assert.equal(again.sub, claims.sub);
}

await client.tokenRevocation(config, last.refresh_token);
await refused(() => client.refreshTokenGrant(config, last.refresh_token), "invalid_grant");
await assert.rejects(client.fetchUserInfo(config, last.access_token, claims.sub), (error) => {
  return error.status === 401 && error.cause[0].parameters.error === "invalid_token";
});

// The browser is still signed in: it comes back without a question, and the person is the same.
// A public client at a loopback address could be any program: it is asked about each time.
const second = await signIn(method === "none" ? {} : { prompt: "none" });
assert.equal(second.claims().sub, claims.sub);
assert.equal(second.claims().auth_time, claims.auth_time);

const state = client.randomState();
const end = client.buildEndSessionUrl(config, {
  id_token_hint: second.id_token,
  post_logout_redirect_uri: postLogoutUri,
  state,
});
const signedOut = await browser.open(end, postLogoutUri);
assert.equal(signedOut.href, `${postLogoutUri}?state=${state}`);
await refused(() => signIn({ prompt: "none" }), "login_required");

console.log(JSON.stringify({ answers: [first, last, second] }));

async function signIn(more = {}) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const start = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
    ...more,
  });
  return client.authorizationCodeGrant(config, await browser.open(start, redirectUri), checks);
}

async function refused(act, error) {
  const found = await act().then(
    () => assert.fail("it was taken"),
    (found) => found,
  );
  assert.equal(found.error, error, found.stack);
}
