// What agents used, read out of messages once: the index of a session goes on where it stopped, and begins anew when its history changed
// otherwise than by appending. A source is counted once whatever is scanned twice.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { decode } from "./json.ts";
import { MESSAGE, messageOf, type StoredMessage } from "./message-rows.ts";
import type { UsageEvent, UsageSession, UsageSum, UsageSummary } from "./records.ts";
import type { MessageRow } from "./rows.ts";
import { statement } from "./statement.ts";

interface Behind {
  readonly id: string;
  readonly epoch: number;
  readonly from: number;
  readonly lastSeq: number;
}

const behind = statement<Behind>(
  `SELECT r.session_id AS id, coalesce(e.epoch, 0) AS epoch, r.last_seq AS lastSeq,
     CASE WHEN u.message_epoch IS coalesce(e.epoch, 0) THEN u.last_seq ELSE 0 END AS "from"
   FROM roost_sessions r LEFT JOIN message_epochs e ON e.session_id = r.session_id
     LEFT JOIN usage_scan_state u ON u.session_id = r.session_id
   WHERE r.last_seq > CASE WHEN u.message_epoch IS coalesce(e.epoch, 0) THEN u.last_seq ELSE 0 END LIMIT 1`,
);
const slice = statement<StoredMessage>(
  `SELECT ${MESSAGE} FROM messages WHERE session_id = $id AND seq > $from ORDER BY seq LIMIT $limit`,
);
const put = statement(
  `INSERT INTO usage_events (session_id, source_key, source_seq, created_at, agent, model, kind, input_tokens, output_tokens,
     cache_read_tokens, cache_creation_tokens, last_input_tokens, last_output_tokens, last_cache_read_tokens, last_cache_creation_tokens)
   VALUES ($session, $sourceKey, $sourceSeq, $createdAt, $agent, $model, $kind, $inputTokens, $outputTokens, $cacheReadTokens,
     $cacheCreationTokens, $lastInputTokens, $lastOutputTokens, $lastCacheReadTokens, $lastCacheCreationTokens)
   ON CONFLICT (session_id, source_key) DO UPDATE SET source_seq = $sourceSeq, created_at = $createdAt, agent = $agent, model = $model,
     kind = $kind, input_tokens = $inputTokens, output_tokens = $outputTokens, cache_read_tokens = $cacheReadTokens,
     cache_creation_tokens = $cacheCreationTokens, last_input_tokens = $lastInputTokens, last_output_tokens = $lastOutputTokens,
     last_cache_read_tokens = $lastCacheReadTokens, last_cache_creation_tokens = $lastCacheCreationTokens`,
);
const setState = statement(
  `INSERT INTO usage_scan_state (session_id, message_epoch, last_seq) VALUES ($id, $epoch, $lastSeq)
   ON CONFLICT (session_id) DO UPDATE SET message_epoch = $epoch, last_seq = $lastSeq`,
);

const about = statement<{ metadata: string | null; model: string | null }>(
  "SELECT metadata, model FROM sessions WHERE id = $id",
);

/** Messages that one operation reads. */
const SLICE = 100;

export function scanUsage(
  { writer }: Database,
  extract: (message: MessageRow, session: UsageSession) => readonly UsageEvent[],
): Promise<boolean> {
  return writer.run((db) => {
    const next = behind(db).get({});
    if (next === null) return false;
    const rows = slice(db).all({ ...next, limit: SLICE, lastSeq: 0, epoch: 0 });
    const stored = about(db).get({ id: next.id });
    const session = { id: next.id, metadata: decode(stored?.metadata ?? null), model: stored?.model ?? null };
    for (const row of rows) for (const event of extract(messageOf(row), session)) record(db, next.id, event);
    const last = rows.length < SLICE ? next.lastSeq : (rows.at(-1)?.seq ?? next.lastSeq);
    setState(db).run({ id: next.id, epoch: next.epoch, lastSeq: last });
    return behind(db).get({}) !== null;
  });
}

function record(db: Db, session: string, event: UsageEvent): void {
  put(db).run({
    session,
    sourceKey: event.sourceKey,
    sourceSeq: event.sourceSeq,
    createdAt: event.createdAt,
    agent: event.agent,
    model: event.model,
    kind: event.kind,
    inputTokens: event.inputTokens,
    outputTokens: event.outputTokens,
    cacheReadTokens: event.cacheReadTokens,
    cacheCreationTokens: event.cacheCreationTokens,
    lastInputTokens: event.lastInputTokens,
    lastOutputTokens: event.lastOutputTokens,
    lastCacheReadTokens: event.lastCacheReadTokens,
    lastCacheCreationTokens: event.lastCacheCreationTokens,
  });
}

interface Counted {
  readonly session: string;
  readonly createdAt: number;
  readonly agent: string;
  readonly model: string | null;
  readonly kind: string;
  readonly input: number;
  readonly output: number;
  readonly read: number;
  readonly creation: number;
  readonly lastInput: number | null;
  readonly lastOutput: number | null;
  readonly lastRead: number | null;
  readonly lastCreation: number | null;
  readonly beforeInput: number | null;
  readonly beforeOutput: number | null;
  readonly beforeRead: number | null;
  readonly beforeCreation: number | null;
}

/** A cumulative event with the one before it in its session, whenever that was. */
const BEFORE = `(SELECT b.rowid FROM usage_events b WHERE b.session_id = u.session_id AND b.kind = 'cumulative' AND b.agent = u.agent
  AND (b.created_at, b.source_seq) < (u.created_at, u.source_seq) ORDER BY b.created_at DESC, b.source_seq DESC LIMIT 1)`;
const inRange = statement<Counted>(
  `SELECT u.session_id AS session, u.created_at AS createdAt, u.agent, u.model, u.kind, u.input_tokens AS input,
     u.output_tokens AS output, u.cache_read_tokens AS read, u.cache_creation_tokens AS creation, u.last_input_tokens AS lastInput,
     u.last_output_tokens AS lastOutput, u.last_cache_read_tokens AS lastRead, u.last_cache_creation_tokens AS lastCreation,
     b.input_tokens AS beforeInput, b.output_tokens AS beforeOutput, b.cache_read_tokens AS beforeRead,
     b.cache_creation_tokens AS beforeCreation
   FROM usage_events u LEFT JOIN usage_events b ON u.kind = 'cumulative' AND b.rowid = ${BEFORE}
   WHERE u.created_at BETWEEN $from AND $to ORDER BY u.created_at`,
);

export async function usageSummary(
  { reads }: Database,
  { from, to, dayOf }: { readonly from: number; readonly to: number; readonly dayOf: (at: number) => string },
): Promise<UsageSummary> {
  const sessions = new Set<string>();
  const totals = nothing();
  const [daily, byAgent, byModel] = [new Sums(), new Sums(), new Sums()];
  for (const row of inRange(reads).iterate({ from, to })) {
    sessions.add(row.session);
    const used = usedBy(row);
    for (const sum of [
      totals,
      daily.of(dayOf(row.createdAt)),
      byAgent.of(row.agent),
      byModel.of(row.model ?? row.agent),
    ])
      add(sum, used);
  }
  return {
    totals: { ...totals, sessions: sessions.size },
    daily: daily.list((a, b) => (a.key < b.key ? 1 : -1)),
    byAgent: byAgent.list(bySize),
    byModel: byModel.list(bySize),
  };
}

/** Totals that went back are those of a new count; without one before, what the event says of its own request counts. */
function usedBy(row: Counted): UsageSum {
  const counts = (total: number, before: number | null, last: number | null) =>
    row.kind === "delta"
      ? total
      : before === null
        ? (last ?? total)
        : total >= before
          ? total - before
          : (last ?? total);
  return {
    inputTokens: counts(row.input, row.beforeInput, row.lastInput),
    outputTokens: counts(row.output, row.beforeOutput, row.lastOutput),
    cacheReadTokens: counts(row.read, row.beforeRead, row.lastRead),
    cacheCreationTokens: counts(row.creation, row.beforeCreation, row.lastCreation),
    requests: 1,
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const nothing = (): Mutable<UsageSum> => ({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  requests: 0,
});

function add(sum: Mutable<UsageSum>, used: UsageSum): void {
  for (const name of Object.keys(used) as (keyof UsageSum)[]) sum[name] += used[name];
}

type Keyed = UsageSum & { readonly key: string };
const total = ({ inputTokens, outputTokens }: UsageSum) => inputTokens + outputTokens;
const bySize = (a: Keyed, b: Keyed) => total(b) - total(a) || (a.key < b.key ? -1 : 1);

class Sums {
  readonly #byKey = new Map<string, Mutable<UsageSum>>();

  of(key: string): Mutable<UsageSum> {
    const known = this.#byKey.get(key) ?? nothing();
    this.#byKey.set(key, known);
    return known;
  }

  list(order: (a: Keyed, b: Keyed) => number): Keyed[] {
    return Array.from(this.#byKey, ([key, sum]) => ({ key, ...sum })).sort(order);
  }
}
