// oidc-provider 9: node issuer_real.mjs PORT KEYS CLIENTS; says its address on standard output once it answers.
// CLIENTS is a JSON object of secrets by client.
// Anybody who is a client may have a token for any resource, with the scopes that it asks for.
import http from "node:http";
import Provider from "oidc-provider";

const [port, keys, clients] = process.argv.slice(2);
const scopes = "notes:read notes:write";
const server = http.createServer();
server.listen(Number(port), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: JSON.parse(keys) },
    scopes: scopes.split(" "),
    clients: Object.entries(JSON.parse(clients)).map(([client_id, client_secret]) => ({
      client_id,
      client_secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      scope: scopes,
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          audience,
          scope: scopes,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
