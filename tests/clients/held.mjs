// @modelcontextprotocol/client 2.x, left waiting with a server over stdio: node held.mjs COMMAND [ARGUMENT…]
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { report } from "./steps.mjs";

const [command, ...args] = process.argv.slice(2);
const transport = new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" });
const client = new Client({ name: "held", version: "1" }, { versionNegotiation: { mode: "auto" } });
await client.connect(transport);
const said = await client.callTool({ name: "shout", arguments: { text: "grün" } });
const started = await client.callTool({ name: "start", arguments: {} });
report({ said: said.structuredContent.result, started: started.structuredContent.result });
setInterval(() => {}, 1000);
