// Is this access token genuine, alive, meant for this API, and good for what is asked?
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const issuer = process.env.ISSUER ?? "http://localhost:8080";
// What access tokens for this API have as their audience.
const audience = process.env.AUDIENCE ?? "https://notes.example/api";
// Whom the API is at the introspection endpoint: only opaque tokens need it.
const clientId = process.env.CLIENT_ID ?? "notes-api";
const clientSecret = process.env.CLIENT_SECRET ?? "";

/** What is wrong with a request, as RFC 6750 section 3 says it. */
export class Refusal extends Error {
  constructor(status, error, description, scope) {
    super(description ?? "no access token");
    this.status = status;
    // A request without a token is told how, and nothing more.
    const parts = error
      ? { error, error_description: description, ...(scope && { scope }) }
      : {};
    this.challenge = ["realm", ...Object.keys(parts)]
      .map((name) => `${name}="${name === "realm" ? "notes" : parts[name]}"`)
      .join(", ")
      .replace(/^/, "Bearer ");
    this.body = error ? parts : { error: "unauthorized" };
  }
}

/** The token in the Authorization header; no other place is read. */
export function tokenOf(request) {
  const header = request.headers.authorization;
  const [, scheme, token] = /^(\S+) +(\S+)$/.exec(header ?? "") ?? [];
  if (header === undefined || (scheme && scheme.toLowerCase() !== "bearer")) throw new Refusal(401);
  if (!token || !/^[\w.~+/-]+=*$/.test(token)) {
    throw new Refusal(400, "invalid_request", "The Authorization header is malformed");
  }
  return token;
}

/** Who may do this by the token; throws a Refusal, or an error when that can't be said now. */
export async function verify(token, scope) {
  const claims = token.split(".").length === 3 ? await verifyJwt(token) : await introspect(token);
  const granted = (claims.scope ?? "").split(" ");
  if (scope && !granted.includes(scope)) {
    throw new Refusal(403, "insufficient_scope", `This needs the scope ${scope}`, scope);
  }
  return { sub: claims.sub, client_id: claims.client_id, scope: claims.scope };
}

async function verifyJwt(token) {
  const { keys } = await server();
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      // RFC 9068 section 4: an ID token can't pass for an access token.
      typ: "at+jwt",
      algorithms: ["ES256", "EdDSA", "RS256", "PS256"],
      requiredClaims: ["exp", "iat", "sub", "client_id", "jti"],
    });
    return payload;
  } catch (error) {
    // Keys that can't be fetched say nothing of the token.
    if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout) throw error;
    if (error.code === "ERR_JOSE_GENERIC") throw error;
    throw new Refusal(401, "invalid_token", reasonOf(error));
  }
}

function reasonOf(error) {
  if (error instanceof errors.JWTExpired) return "The access token has expired";
  if (error.claim === "aud") return "The access token is for another API";
  return "The access token is not valid";
}

async function introspect(token) {
  const { metadata } = await server();
  const encode = (text) => encodeURIComponent(text);
  const credentials = Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString("base64");
  const answer = await fetch(metadata.introspection_endpoint, {
    method: "POST",
    headers: { authorization: `Basic ${credentials}`, accept: "application/json" },
    body: new URLSearchParams({ token, token_type_hint: "access_token" }),
    signal: AbortSignal.timeout(5000),
  });
  if (!answer.ok) throw new Error(`introspection: ${answer.status} ${await answer.text()}`);
  const claims = await answer.json();
  if (!claims.active) throw new Refusal(401, "invalid_token", "The access token is no longer good");
  if (![claims.aud].flat().includes(audience)) {
    throw new Refusal(401, "invalid_token", "The access token is for another API");
  }
  return claims;
}

let discovered;

/** The server's metadata and keys. Asked for once; again if the server was not there. */
function server() {
  discovered ??= discover().catch((error) => {
    discovered = undefined;
    throw error;
  });
  return discovered;
}

async function discover() {
  const { origin, pathname } = new URL(issuer);
  const path = `/.well-known/oauth-authorization-server${pathname === "/" ? "" : pathname}`;
  const answer = await fetch(new URL(path, origin), { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`discovery: ${answer.status}`);
  const metadata = await answer.json();
  if (metadata.issuer !== issuer) throw new Error(`discovery: another issuer, ${metadata.issuer}`);
  // It fetches the keys when it first needs them, and again when it meets a new one.
  return { metadata, keys: createRemoteJWKSet(new URL(metadata.jwks_uri)) };
}
