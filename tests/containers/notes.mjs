// @modelcontextprotocol/client 2.x with the notes: node notes.mjs legacy|auto|modern URL TITLE
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [era, url, title] = process.argv.slice(2);
const mode = era === "modern" ? { pin: "2026-07-28" } : era;
const client = new Client({ name: "notes", version: "1" }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const call = async (name, args) => (await client.callTool({ name, arguments: args })).structuredContent;
const added = await call("add_note", { title, body: "Water them in the morning.", tags: ["garden"] });
const read = await client.readResource({ uri: `note://${added.id}` });
const found = await call("search_notes", { query: title });
console.log(JSON.stringify({ id: added.id, read: read.contents[0].text, found: found.hits.map((hit) => hit.id) }));
await client.close();
