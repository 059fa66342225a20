// An authorization server, and the official TypeScript SDK as a client that gets a token there: by the metadata of the
// resource it is told, the issuer's own, dynamic registration, an authorization code with PKCE, and a user who signs in and
// agrees. Prints the issuer, reads the server's address from standard input, then prints what two users saw, a line each.
//
// Argument: the algorithm of the tokens. The packages lie in the folder that `WASSETTE_NODE_TOOLS` names.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { generateKeyPairSync } from "node:crypto";
import { pathToFileURL } from "node:url";

// Standard output is for what the test reads; the authorization server has things to say as well.
console.info = console.warn = console.error;
const algorithm = process.argv[2];
const BACK = "http://127.0.0.1:1/back";
const require = createRequire(join(process.env.WASSETTE_NODE_TOOLS, "here.js"));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require("@modelcontextprotocol/client");

// What never comes must fail the test, not hold it up.
setTimeout(() => {
  console.error("not done after 60 seconds");
  process.exit(1);
}, 60_000).unref();

function keys() {
  const make = {
    RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    EdDSA: () => generateKeyPairSync("ed25519"),
  };
  // Its own tokens are RS256 whatever ours are.
  return [...new Set(["RS256", algorithm])].map((alg) => ({
    ...make[alg]().privateKey.export({ format: "jwk" }),
    alg,
    use: "sig",
    kid: alg,
  }));
}

const listener = createServer();
await new Promise((done) => listener.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${listener.address().port}`;
// What the user who is here agrees to.
let agreed = "";
const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", "tools:call", "components:manage"],
  jwks: { keys: keys() },
  enabledJWA: { idTokenSigningAlgValues: [...new Set(["RS256", algorithm])] },
  features: {
    registration: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => ({
        scope: agreed,
        audience: resource,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
});
listener.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const server = new URL((await lines.next()).value);

// The user: follows redirects with cookies, and sends off each form, until the way leads back to the client.
async function user(url) {
  const jar = new Map();
  let form;
  for (let steps = 0; steps < 30; steps += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, { method: form ? "POST" : "GET", body: form, redirect: "manual", headers: { cookie } });
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      jar.set(name, value);
    }
    form = undefined;
    const location = answer.headers.get("location");
    if (location) {
      url = new URL(location, url);
      if (url.href.startsWith(BACK)) return url.searchParams;
      continue;
    }
    const page = await answer.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (!action) throw new Error(`${answer.status}: ${page}`);
    url = new URL(action, url);
    form = new URLSearchParams({ prompt: /name="prompt" value="([^"]+)"/.exec(page)[1], login: "ann", password: "x" });
  }
  throw new Error("the way leads nowhere");
}

// One user with one client, who comes in both eras; gives the result of a call, or why there is none.
async function visit() {
  const kept = {};
  const authProvider = {
    redirectUrl: BACK,
    clientMetadata: {
      client_name: "test",
      redirect_uris: [BACK],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
      application_type: "native",
    },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => (kept.verifier = verifier),
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery) => (kept.discovery = discovery),
    redirectToAuthorization: async (url) => {
      kept.asked ??= url.searchParams.get("scope");
      kept.resource ??= url.searchParams.get("resource");
      kept.back = await user(url);
    },
  };
  const seen = {};
  for (const [era, mode] of [["2026-07-28", { pin: "2026-07-28" }], ["legacy", "legacy"]]) {
    const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
    let transport = new StreamableHTTPClientTransport(server, { authProvider });
    try {
      await client.connect(transport);
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      await transport.finishAuth(kept.back);
      transport = new StreamableHTTPClientTransport(server, { authProvider });
      await client.connect(transport);
    }
    const call = client.callTool({ name: "text_hash", arguments: { text: "hello" } });
    seen[era] = await call.then(
      (result) => result.structuredContent.result,
      (error) => `refused: ${error.message}`,
    );
    await client.close();
  }
  return { ...seen, asked: kept.asked, resource: kept.resource };
}

for (const scope of ["tools:call", "components:manage"]) {
  agreed = scope;
  console.log(JSON.stringify(await visit()));
}
process.exit(0);
