// Signs in with openid-client as it comes from npm, refreshes three times, and revokes.
//
//   node openid-client.mjs ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI USERNAME PASSWORD
//
// The browser's part is played by `fetch` and a cookie jar. It prints what it got as JSON.
// `openid` is left out of the scope: with it the library insists on an ID token.
import assert from "node:assert/strict";
import * as client from "openid-client";
import { Browser } from "./browser.mjs";

const [issuer, clientId, secret, method, redirectUri, username, password] = process.argv.slice(2);
const scope = "profile offline_access";

const authentication = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(secret),
  client_secret_post: () => client.ClientSecretPost(secret),
}[method]();
const config = await client.discovery(new URL(issuer), clientId, secret || undefined, authentication, {
  algorithm: "oauth2",
  execute: [client.allowInsecureRequests],
});
const metadata = config.serverMetadata();
assert.equal(metadata.issuer, issuer);
assert.equal(metadata.authorization_response_iss_parameter_supported, true);

const codeVerifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const start = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope,
  state,
  code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
  code_challenge_method: "S256",
});
const callback = await new Browser(username, password).open(start, redirectUri);

// The library holds `iss` against the metadata by itself (RFC 9207): another one is refused
// before the code is spent.
const foreign = new URL(callback);
foreign.searchParams.set("iss", "https://elsewhere.example");
const checks = { pkceCodeVerifier: codeVerifier, expectedState: state };
const overIss = (error) => /"iss"/.test(error.cause?.message);
await assert.rejects(client.authorizationCodeGrant(config, foreign, checks), overIss);
const without = new URL(callback);
without.searchParams.delete("iss");
await assert.rejects(client.authorizationCodeGrant(config, without, checks), overIss);

const answers = [await client.authorizationCodeGrant(config, callback, checks)];
for (let turn = 0; turn < 3; turn += 1) {
  answers.push(await client.refreshTokenGrant(config, answers.at(-1).refresh_token));
}
for (const answer of answers) {
  assert.equal(answer.token_type, "bearer");
  assert.deepEqual(answer.scope.split(" ").sort(), scope.split(" ").sort());
  assert.ok(answer.expires_in > 0);
}
assert.equal(new Set(answers.map((answer) => answer.refresh_token)).size, 4);
assert.equal(new Set(answers.map((answer) => answer.access_token)).size, 4);

await client.tokenRevocation(config, answers.at(-1).refresh_token);
const refused = await client.refreshTokenGrant(config, answers.at(-1).refresh_token).then(
  () => assert.fail("a revoked token was taken"),
  (error) => error,
);
assert.equal(refused.error, "invalid_grant");
console.log(JSON.stringify({ callback, answers, refused: refused.error_description }));
