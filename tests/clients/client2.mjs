// @modelcontextprotocol/client 2.x: node client2.mjs legacy|auto|modern URL | … COMMAND [ARGUMENT…]
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { probe, report } from "./steps.mjs";

const [era, target, ...args] = process.argv.slice(2);
const transport = target.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(target))
  : new StdioClientTransport({ command: target, args, env: process.env, stderr: "ignore" });
const mode = era === "modern" ? { pin: "2026-07-28" } : era;
const client = new Client({ name: "client2", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);
report(await probe(client, (params, options) => client.callTool(params, options)));
await client.close();
