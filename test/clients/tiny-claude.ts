// The smallest Claude Code: speaks its stream of JSON lines on stdin and stdout, as the happy CLI's remote mode drives it, keeps the
// transcript that the CLI waits for, and repeats what it is told. A session that is resumed keeps its id.
import { appendFileSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";

const incoming = z.looseObject({
  type: z.string(),
  request_id: z.string().optional(),
  message: z
    .object({
      content: z.union([
        z.string(),
        z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
      ]),
    })
    .optional(),
});

const words = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
};

if (words.includes("--version")) {
  process.stdout.write("2.1.0 (Claude Code)\n");
  process.exit(0);
}

const session_id = option("--resume") ?? option("--session-id") ?? crypto.randomUUID();
const projects = join(process.env.CLAUDE_CONFIG_DIR ?? join(homedir(), ".claude"), "projects");
const folder = join(projects, process.cwd().replace(/[^a-zA-Z0-9]/g, "-"));

const send = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** One line of the transcript. */
function keep(type: "user" | "assistant", message: object): string {
  const uuid = crypto.randomUUID();
  const line = {
    type,
    uuid,
    sessionId: session_id,
    cwd: process.cwd(),
    timestamp: new Date().toISOString(),
    message,
  };
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, `${session_id}.jsonl`), `${JSON.stringify(line)}\n`);
  return uuid;
}

let begun = false;
function answer(text: string): void {
  keep("user", { role: "user", content: text });
  if (!begun) {
    begun = true;
    send({
      type: "system",
      subtype: "init",
      session_id,
      cwd: process.cwd(),
      tools: [],
      mcp_servers: [],
      model: "tiny",
      permissionMode: "default",
      slash_commands: [],
      apiKeySource: "none",
      uuid: crypto.randomUUID(),
    });
  }
  const message = {
    id: `msg_${crypto.randomUUID()}`,
    type: "message",
    role: "assistant",
    model: "tiny",
    content: [{ type: "text", text: `heard: ${text}` }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  };
  send({
    type: "assistant",
    message,
    parent_tool_use_id: null,
    session_id,
    uuid: keep("assistant", message),
  });
  send({
    type: "result",
    subtype: "success",
    is_error: false,
    result: `heard: ${text}`,
    duration_ms: 1,
    duration_api_ms: 1,
    num_turns: 1,
    total_cost_usd: 0,
    usage: { input_tokens: 1, output_tokens: 1 },
    session_id,
    uuid: crypto.randomUUID(),
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  const { type, request_id, message } = incoming.parse(JSON.parse(line));
  if (type === "control_request") {
    const response = { commands: [], models: [], agents: [], account: {}, output_style: "default" };
    send({ type: "control_response", response: { subtype: "success", request_id, response } });
  } else if (type === "user" && message !== undefined) {
    const { content } = message;
    answer(typeof content === "string" ? content : content.map(({ text = "" }) => text).join(""));
  }
}
