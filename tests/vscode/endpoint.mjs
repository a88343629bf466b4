// An OpenAI-compatible server that answers what it is told to, word by word.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const WORD_MS = 30;

/** `answer` may be changed at any time; `asked` are the bodies of the requests, `listening` counts those under way. */
export async function startEndpoint() {
  const endpoint = { answer: "", asked: [], listening: 0, url: "", stop: () => server.close() };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    endpoint.asked.push({ path: request.url, ...JSON.parse(Buffer.concat(parts).toString() || "{}") });
    endpoint.listening++;
    response.on("close", () => endpoint.listening--);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const text of endpoint.answer.match(/\S+\s*|\s+/g) ?? []) {
      if (response.destroyed) return;
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text }, text }] })}\n\n`);
      await sleep(WORD_MS);
    }
    response.end("data: [DONE]\n\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint.url = `http://127.0.0.1:${server.address().port}/v1`;
  return endpoint;
}
