// Says which client library the tests drive.
import { readFile } from "node:fs/promises";
import * as client from "openid-client";

const { version } = JSON.parse(
  await readFile(new URL("./node_modules/openid-client/package.json", import.meta.url)),
);
if (typeof client.refreshTokenGrant !== "function") throw new Error("openid-client lacks refreshTokenGrant");
console.log(`node ${process.version}, openid-client ${version}`);
