// What the app has to be told, from the environment. The defaults are those of `perennial demo`,
// whose guide prints the secret.
const port = Number(process.env.PORT ?? 8082);

export const config = {
  port,
  // The app's own address, as browsers see it.
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}`,
  issuer: process.env.ISSUER ?? "http://localhost:8080",
  clientId: process.env.CLIENT_ID ?? "express-app",
  clientSecret: process.env.CLIENT_SECRET ?? "",
  // offline_access: without it there is no refresh token.
  scope: process.env.SCOPE ?? "openid profile email notes.read offline_access",
  // The API that the app calls in the person's name: examples/resource-server.
  apiUrl: process.env.API_URL ?? "http://localhost:8084",
};

if (!config.clientSecret) {
  console.error("CLIENT_SECRET is not set: it is the secret of the client that the app is registered as.");
  process.exit(2);
}
