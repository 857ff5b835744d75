// What an agent used, read out of its messages as the original does, so that its index and ours are one (hapi-data 4, hapi-http-sse C5).
// A Claude answer counts by its own id, however often it is reported; codex reports running totals; the others what one request took.
import type { UsageEvent, UsageSession } from "../store/records.ts";
import type { MessageRow } from "../store/rows.ts";
import { flavourOf } from "./flavours.ts";
import { isObject, type JsonObject, objectAt, textAt } from "./shape.ts";

interface Counts {
  readonly input: number;
  readonly output: number;
  readonly read: number;
  readonly creation: number;
}

export function usageOf(message: MessageRow, session: UsageSession): readonly UsageEvent[] {
  // Most messages have none, and need not be parsed.
  if (!/token|usage/i.test(message.content.text)) return [];
  const { value } = message.content;
  const content = isObject(value) && value.role === "agent" ? objectAt(value, "content") : undefined;
  const data = objectAt(content, "data");
  if (content === undefined || data === undefined) return [];
  const event =
    content.type === "output" ? ofClaude(message, session, data) : ofOthers(message, session, data);
  return event === undefined || isNothing(event) ? [] : [event];
}

function ofClaude(message: MessageRow, session: UsageSession, data: JsonObject): UsageEvent | undefined {
  const answer = data.type === "assistant" ? objectAt(data, "message") : undefined;
  const usage = objectAt(answer, "usage");
  if (answer === undefined || usage === undefined) return undefined;
  const { input, output, read, creation } = countsOf(usage);
  return {
    ...common(message),
    sourceKey: `claude|${textAt(answer, "id") ?? message.id}`,
    agent: "claude",
    model: textAt(answer, "model") ?? session.model,
    kind: "delta",
    ...counted({ input: input + read + creation, output, read, creation }),
    ...last(undefined),
  };
}

function ofOthers(message: MessageRow, session: UsageSession, data: JsonObject): UsageEvent | undefined {
  if (data.type !== "token_count" && data.type !== "usage") return undefined;
  const info = objectAt(data, "info") ?? data;
  const agent = flavourOf(session.metadata);
  const model = textAt(data, "model") ?? textAt(info, "model") ?? session.model;
  const reported = objectAt(info, "last_token_usage") ?? objectAt(info, "last");
  const one = reported === undefined ? undefined : countsOf(reported);
  if (agent === "codex") {
    const total = objectAt(info, "total_token_usage") ?? objectAt(info, "total");
    if (total === undefined) return undefined;
    const { input, output, read, creation } = countsOf(total);
    return {
      ...common(message),
      sourceKey: `cumulative|${session.id}|parent||${input}|${output}|${read}|${creation}`,
      agent,
      model,
      kind: "cumulative",
      ...counted({ input, output, read, creation }),
      ...last(one),
    };
  }
  const flat = one ?? flatCounts(info);
  if (flat === undefined) return undefined;
  // These report the cache beside the input; one of them within it.
  const isApart = one === undefined && data.type === "token_count" && agent !== "kimi";
  return {
    ...common(message),
    sourceKey: `delta|${message.id}`,
    agent,
    model,
    kind: "delta",
    ...counted(isApart ? { ...flat, input: flat.input + flat.read + flat.creation } : flat),
    ...last(data.type === "usage" || one !== undefined ? flat : undefined),
  };
}

const common = ({ seq, createdAt }: MessageRow) => ({ sourceSeq: seq, createdAt });

const counted = ({ input, output, read, creation }: Counts) => ({
  inputTokens: input,
  outputTokens: output,
  cacheReadTokens: read,
  cacheCreationTokens: creation,
});

const last = (counts: Counts | undefined) => ({
  lastInputTokens: counts?.input ?? null,
  lastOutputTokens: counts?.output ?? null,
  lastCacheReadTokens: counts?.read ?? null,
  lastCacheCreationTokens: counts?.creation ?? null,
});

const isNothing = (event: UsageEvent): boolean =>
  event.inputTokens + event.outputTokens + event.cacheReadTokens + event.cacheCreationTokens === 0;

/** Undefined where nothing of it is a number. */
function flatCounts(of: JsonObject): Counts | undefined {
  const isThere = ["inputTokens", "input_tokens", "outputTokens", "output_tokens"].some(
    (name) => typeof of[name] === "number",
  );
  return isThere ? countsOf(of) : undefined;
}

const countsOf = (of: JsonObject): Counts => ({
  input: countAt(of, "input_tokens", "inputTokens"),
  output: countAt(of, "output_tokens", "outputTokens"),
  read: countAt(of, "cache_read_input_tokens", "cached_input_tokens", "cacheReadTokens", "cachedInputTokens"),
  creation: countAt(of, "cache_creation_input_tokens", "cacheCreationTokens"),
});

function countAt(of: JsonObject, ...names: readonly string[]): number {
  for (const name of names) {
    const value = of[name];
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return Math.round(value);
  }
  return 0;
}
