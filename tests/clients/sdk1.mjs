// @modelcontextprotocol/sdk 1.x: node sdk1.mjs URL | node sdk1.mjs COMMAND [ARGUMENT…]
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { probe, report } from "./steps.mjs";

const [target, ...args] = process.argv.slice(2);
const transport = target.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(target))
  : new StdioClientTransport({ command: target, args, env: process.env, stderr: "ignore" });
const client = new Client({ name: "sdk1", version: "1" });
await client.connect(transport);
report(await probe(client, (params, options) => client.callTool(params, undefined, options)));
await client.close();
