// The smallest coding agent: speaks the Agent Client Protocol (JSON-RPC, one object a line) on stdin and stdout. It repeats what it
// is told, and asks for permission first when the prompt begins with "ask".
import { createInterface } from "node:readline";
import { z } from "zod";

const incoming = z.object({
  id: z.union([z.number(), z.string()]).optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
});
const promptParams = z.object({
  sessionId: z.string(),
  prompt: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
});
const permissionResult = z.object({
  outcome: z.object({ outcome: z.string(), optionId: z.string().optional() }),
});

const send = (message: object): void => {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
};

let requests = 0;
const waiting = new Map<string, (result: unknown) => void>();

function say(sessionId: string, text: string): void {
  const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text } };
  send({ method: "session/update", params: { sessionId, update } });
}

/** @returns the option that the person chose. */
async function askPermission(sessionId: string, title: string): Promise<string> {
  const id = `permission-${++requests}`;
  const { promise, resolve } = Promise.withResolvers<unknown>();
  waiting.set(id, resolve);
  const options = [
    { optionId: "proceed_once", name: "Allow once", kind: "allow_once" },
    { optionId: "cancel", name: "Cancel", kind: "reject_once" },
  ];
  const toolCall = { toolCallId: id, title, kind: "execute", content: [], rawInput: { command: title } };
  send({ id, method: "session/request_permission", params: { sessionId, toolCall, options } });
  const { outcome } = permissionResult.parse(await promise);
  return outcome.optionId ?? outcome.outcome;
}

async function answerPrompt(id: number | string, params: unknown): Promise<void> {
  const { sessionId, prompt } = promptParams.parse(params);
  const text = prompt.map((part) => part.text ?? "").join("");
  if (text.startsWith("ask ")) say(sessionId, `permission: ${await askPermission(sessionId, text.slice(4))}`);
  else say(sessionId, `heard: ${text}`);
  send({ id, result: { stopReason: "end_turn" } });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  const { id, method, params, result } = incoming.parse(JSON.parse(line));
  if (method === undefined) waiting.get(String(id))?.(result);
  else if (id === undefined) continue;
  else if (method === "initialize")
    send({ id, result: { protocolVersion: 1, agentCapabilities: { loadSession: false }, authMethods: [] } });
  else if (method === "session/new") send({ id, result: { sessionId: "tiny" } });
  else if (method === "session/prompt") void answerPrompt(id, params);
  else send({ id, error: { code: -32601, message: `Method not found: ${method}` } });
}
