// An API that answers to access tokens: JWTs are verified by the server's public keys (RFC 9068),
// opaque ones by asking the server (RFC 7662). Refusals are as RFC 6750 section 3 says.
import { createServer } from "node:http";
import { Refusal, tokenOf, verify } from "./access-tokens.js";

const port = Number(process.env.PORT ?? 8084);
// Browser apps of these origins may call: examples/spa.
const origins = (process.env.ALLOWED_ORIGINS ?? "http://localhost:8083").split(" ");

const notes = ["The heron is back at the weir.", "Bring the ladder."];

const routes = {
  "GET /notes": { scope: "notes.read", answer: () => ({ notes }) },
  "POST /notes": {
    scope: "notes.write",
    answer: (person, body) => {
      notes.push(String(body).slice(0, 200));
      return { notes };
    },
  },
  "GET /me": { scope: "", answer: (person) => person },
};

createServer(async (request, response) => {
  const origin = request.headers.origin;
  if (origins.includes(origin)) {
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Access-Control-Expose-Headers", "WWW-Authenticate");
    response.setHeader("Vary", "Origin");
  }
  if (request.method === "OPTIONS") {
    response.setHeader("Access-Control-Allow-Methods", "GET, POST");
    response.setHeader("Access-Control-Allow-Headers", "Authorization, Content-Type");
    return response.writeHead(204).end();
  }
  const route = routes[`${request.method} ${new URL(request.url, "http://api").pathname}`];
  if (!route) return send(response, 404, { error: "not_found" });
  try {
    const person = await verify(tokenOf(request), route.scope);
    send(response, 200, route.answer(person, await textOf(request)));
  } catch (error) {
    if (error instanceof Refusal) {
      response.setHeader("WWW-Authenticate", error.challenge);
      return send(response, error.status, error.body);
    }
    // Neither a yes nor a no: the token may be as good as ever.
    console.error(error);
    response.setHeader("Retry-After", "5");
    send(response, 503, { error: "temporarily_unavailable" });
  }
}).listen(port, "127.0.0.1", () => console.log(`The API is at http://localhost:${port}`));

async function textOf(request) {
  let text = "";
  for await (const part of request.setEncoding("utf8")) {
    if (text.length < 1000) text += part;
  }
  return text;
}

function send(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
}
