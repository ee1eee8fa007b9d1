// Signs in with oauth4webapi as it comes from npm, each step by hand: discovery, the ID token's
// signature by the discovered keys, UserInfo, refresh, introspection where the client may,
// revocation, and sign-out.
//
//   node oauth4webapi.mjs ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI POST_LOGOUT_URI USERNAME PASSWORD ALG
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { Browser } from "./browser.mjs";

const [issuer, clientId, secret, method, redirectUri, postLogoutUri, username, password, alg] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const browser = new Browser(username, password);

const issuerUrl = new URL(issuer);
const as = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl, insecure));
// The same document by RFC 8414.
const other = await oauth.discoveryRequest(issuerUrl, { ...insecure, algorithm: "oauth2" });
assert.deepEqual(await oauth.processDiscoveryResponse(issuerUrl, other), as);

const client = { client_id: clientId, id_token_signed_response_alg: alg };
const authentication = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(secret),
  client_secret_post: () => oauth.ClientSecretPost(secret),
}[method]();

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const start = new URL(as.authorization_endpoint);
start.search = new URLSearchParams({
  response_type: "code",
  client_id: clientId,
  redirect_uri: redirectUri,
  scope: "openid profile email offline_access",
  state,
  nonce,
  max_age: "3600",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
const callback = await browser.open(start, redirectUri);
assert.throws(() => oauth.validateAuthResponse(as, client, callback, "another state"));
const parameters = oauth.validateAuthResponse(as, client, callback, state);
const exchanged = await oauth.authorizationCodeGrantRequest(
  as, client, authentication, parameters, redirectUri, verifier, insecure);
const first = await oauth.processAuthorizationCodeResponse(as, client, exchanged, {
  expectedNonce: nonce,
  maxAge: 3600,
  requireIdToken: true,
});
await oauth.validateApplicationLevelSignature(as, exchanged, insecure);
const claims = oauth.getValidatedIdTokenClaims(first);
assert.equal(claims.nonce, nonce);

const info = await oauth.processUserInfoResponse(
  as, client, claims.sub, await oauth.userInfoRequest(as, client, first.access_token, insecure));
assert.equal(info.preferred_username, username);

let last = first;
for (let turn = 0; turn < 3; turn += 1) {
  const answer = await oauth.refreshTokenGrantRequest(as, client, authentication, last.refresh_token, insecure);
  last = await oauth.processRefreshTokenResponse(as, client, answer);
  await oauth.validateApplicationLevelSignature(as, answer, insecure);
  assert.equal(oauth.getValidatedIdTokenClaims(last).sub, claims.sub);
}

// A resource server that takes JWTs would go about it like this (RFC 9068).
const request = new Request("https://api.example/", { headers: { authorization: `Bearer ${last.access_token}` } });
const access = await oauth.validateJwtAccessToken(as, request, issuer, insecure);
assert.equal(access.sub, claims.sub);
assert.equal(access.client_id, clientId);

await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authentication, last.refresh_token, insecure));
const spent = await oauth.refreshTokenGrantRequest(as, client, authentication, last.refresh_token, insecure);
await refused(() => oauth.processRefreshTokenResponse(as, client, spent), "invalid_grant");

// The code again.
const replayed = await oauth.authorizationCodeGrantRequest(
  as, client, authentication, parameters, redirectUri, verifier, insecure);
await refused(() => oauth.processAuthorizationCodeResponse(as, client, replayed), "invalid_grant");

const end = new URL(as.end_session_endpoint);
end.search = new URLSearchParams({
  id_token_hint: first.id_token,
  post_logout_redirect_uri: postLogoutUri,
  state,
});
assert.equal((await browser.open(end, postLogoutUri)).href, `${postLogoutUri}?state=${encodeURIComponent(state)}`);

console.log(JSON.stringify({ answers: [first, last] }));

async function refused(act, error) {
  const found = await act().then(
    () => assert.fail("it was taken"),
    (found) => found,
  );
  assert.equal(found.error, error, found.stack);
}
