// Signs in with openid-client as it comes from npm, refreshes three times, and revokes.
//
//   node openid-client.mjs ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI USERNAME PASSWORD
//
// The browser's part is played by `fetch` and a cookie jar. It prints what it got as JSON.
// `openid` is left out of the scope: with it the library insists on an ID token.
import assert from "node:assert/strict";
import * as client from "openid-client";

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
const callback = await browse(start);

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

// Follows redirects and fills in forms until the app's own address comes up.
async function browse(url) {
  const cookies = new Map();
  let request = { url: new URL(url), options: {} };
  for (let hop = 0; hop < 20; hop += 1) {
    const { url, options } = request;
    if (url.href.startsWith(redirectUri)) return url;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, { ...options, redirect: "manual", headers: { ...options.headers, cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const page = await answer.text();
    if (answer.status >= 300 && answer.status < 400) {
      request = { url: new URL(answer.headers.get("location"), url), options: {} };
      continue;
    }
    assert.equal(answer.status, 200, page);
    const form = forms(page).find((form) => form.action === "/login" || form.action === "/consent");
    assert.ok(form, page);
    const own = form.action === "/login" ? { username, password } : { decision: "allow" };
    const body = new URLSearchParams({ ...form.hidden, ...own });
    const headers = { origin: url.origin, "sec-fetch-site": "same-origin" };
    request = { url: new URL(form.action, url), options: { method: "POST", body, headers } };
  }
  assert.fail("no end of pages");
}

function forms(page) {
  return [...page.matchAll(/<form[^>]* action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(([, action, inside]) => ({
    action,
    hidden: Object.fromEntries(
      [...inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map((field) => field.slice(1)),
    ),
  }));
}
