// Serves the app's five files: nothing is built, and nothing secret passes through here.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 8083);
const settings = {
  issuer: process.env.ISSUER ?? "http://localhost:8080",
  client_id: process.env.CLIENT_ID ?? "spa",
  scope: process.env.SCOPE ?? "openid profile email notes.read offline_access",
  api: process.env.API_URL ?? "http://localhost:8084",
};

const here = (path) => new URL(path, import.meta.url);
const files = {
  "/": [here("public/index.html"), "text/html; charset=utf-8"],
  "/app.js": [here("public/app.js"), "text/javascript; charset=utf-8"],
  "/style.css": [here("public/style.css"), "text/css; charset=utf-8"],
  "/oidc-client-ts.js": [
    here("node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"),
    "text/javascript; charset=utf-8",
  ],
};
// Where the server sends the browser back to: the same page, whose script looks at the address.
files["/callback"] = files["/signed-out"] = files["/"];

// What the page may load and where it may send: with tokens in the browser this matters most.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  `connect-src 'self' ${new URL(settings.issuer).origin} ${new URL(settings.api).origin}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

createServer(async (request, response) => {
  response.setHeader("Content-Security-Policy", policy);
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cache-Control", "no-cache");
  const { pathname } = new URL(request.url, "http://app");
  if (pathname === "/settings.json") {
    response.setHeader("Content-Type", "application/json");
    return response.end(JSON.stringify(settings));
  }
  if (pathname === "/favicon.ico") return response.writeHead(204).end();
  const [file, type] = files[pathname] ?? [];
  if (!file) return response.writeHead(404).end();
  response.setHeader("Content-Type", type);
  response.end(await readFile(file));
}).listen(port, "127.0.0.1", () => console.log(`The single-page app is at http://localhost:${port}`));
