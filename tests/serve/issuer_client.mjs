// Both TypeScript SDKs, with their own OAuth: node issuer_client.mjs sdk|client URL ISSUER CLIENT SECRET
// Asks who it is, then for what takes another scope; says both answers.
const [kind, url, expectedIssuer, clientId, clientSecret] = process.argv.slice(2);
const { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } =
  kind === "client"
    ? await import("@modelcontextprotocol/client")
    : {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/auth-extensions.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
      };
// 1.x asks for what it was told to alone: with client credentials it takes no scope from a challenge.
const scope = kind === "client" ? undefined : "notes:read notes:write";
const authProvider = new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer, scope });
const client = new Client({ name: "logs-in", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
const who = await client.callTool({ name: "who", arguments: {} });
const written = await client.callTool({ name: "write", arguments: {} });
console.log(JSON.stringify({ scopes: who.structuredContent.scopes, written: written.content[0].text }));
await client.close();
