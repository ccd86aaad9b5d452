// What every client does with the fixture server; prints what it got as one JSON document.
export async function probe(client, call) {
  const progress = [];
  const tools = (await client.listTools()).tools;
  const text = await call({ name: "test_simple_text", arguments: {} });
  const mixed = await call({ name: "test_multiple_content_types", arguments: {} });
  const header = await call({ name: "test_x_mcp_header", arguments: { region: "eü", query: "q" } });
  const failed = await call({ name: "test_error_handling", arguments: {} });
  await call({ name: "test_tool_with_progress", arguments: {} }, {
    onprogress: ({ progress: done, total, message }) => progress.push([done, total, message]),
  });
  const resource = await client.readResource({ uri: "test://template/7/data" });
  const prompt = await client.getPrompt({
    name: "test_prompt_with_arguments",
    arguments: { arg1: "a", arg2: "b" },
  });
  return {
    server: client.getServerVersion(),
    instructions: client.getInstructions(),
    tools: tools.map((tool) => [tool.name, tool.description, tool.inputSchema]),
    text: text.content,
    mixed: mixed.content,
    header: [header.content, header.structuredContent],
    failed: [failed.isError, failed.content],
    progress,
    resource: resource.contents,
    prompt: prompt.messages,
  };
}

export function report(answer) {
  process.stdout.write(JSON.stringify(answer) + "\n");
}
