// The HAPI protocol under load: Happy's scenarios in HAPI's words, on the compiled executable, and in the same run on the released hub
// where it is installed. Clients are a process of their own. BENCH_ROUNDS pairs one after the other; figures are the medians.
import { Database } from "bun:sqlite";
import { dirname, join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { type ClientProcess, clientProcess } from "./client-process.ts";
import { median, type Result } from "./figures.ts";
import { type Hub, type HubProcess, hubs, openSessions } from "./hapi/hubs.ts";
import type { Done, Task, Work } from "./hapi/load.ts";
import { serverProcess } from "./server-process.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 1);
const MS = 4_000;
const LISTED = 500;
const MANY_MESSAGES = 500_000;

interface Measured extends Done {
  /** Of the server, while it was measured. */
  readonly cpuSeconds: number;
  readonly residentMb: number;
}

const sendings = [
  ["REST, 1 sender", { via: "rest", senders: 1, window: 1, readers: 4 }],
  ["REST, 64 senders", { via: "rest", senders: 64, window: 1, readers: 4 }],
  ["CLI, 1 sender, 64 on the way", { via: "cli", senders: 1, window: 64, readers: 4 }],
  ["CLI, 64 senders", { via: "cli", senders: 64, window: 1, readers: 4 }],
] as const;

/** Stored and heard by four web clients. */
export async function messages(): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, how] of sendings) {
    const work: Work = { kind: "messages", ms: MS, ...how };
    const all = await inPairs((hub) => measured(hub, work));
    results.push(compared(`HAPI messages: ${name}`, "messages_per_s", all, "per_10k"));
  }
  return results;
}

/** One sender to a hundred web clients. */
export async function fanOut(): Promise<Result> {
  const work: Work = { kind: "messages", via: "cli", senders: 1, window: 64, readers: 100, ms: MS };
  const all = await inPairs(async (hub) => {
    const { deliveries, ...rest } = await measured(hub, work);
    return { ...rest, deliveries, count: deliveries };
  });
  return compared("HAPI: 1 sender to 100 event streams", "deliveries_per_s", all, "per_1m");
}

export async function lists(): Promise<Result[]> {
  const stage = (hub: HubProcess) => openSessions(hub.url, LISTED);
  const ask: Work = { kind: "asks", path: "/api/sessions", connections: 8, ms: MS };
  const plain = await inPairs((hub) => measured(hub, ask, stage));
  const packed = await inPairs((hub) =>
    measured(hub, { ...ask, headers: { "Accept-Encoding": "gzip" } }, stage),
  );
  return [
    compared(`HAPI list of ${LISTED} sessions`, "lists_per_s", plain, "per_1k"),
    compared(`HAPI list of ${LISTED} sessions, gzip`, "lists_per_s", packed, "per_1k"),
  ];
}

export async function pages(): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, path] of [
    ["newest 100 messages", (id: string) => `/api/sessions/${id}/messages?limit=100`],
    ["back-fill of 100 messages", (id: string) => `/cli/sessions/${id}/messages?afterSeq=1500&limit=100`],
  ] as const) {
    const all = await inPairs(async (hub) => {
      const first = await hub.start();
      const [id = ""] = await openSessions(first.url, 1);
      await first.stop();
      fill(first.database, 3_000);
      const work: Work = { kind: "asks", path: path(id), connections: 8, ms: MS };
      return measured(hub, work, undefined, folderOf(hub, first));
    });
    results.push(compared(`HAPI ${name} of 3,000`, "pages_per_s", all, "per_1k"));
  }
  return results;
}

/** The list does not read the messages. */
export async function longList(): Promise<Result[]> {
  const results: Result[] = [];
  for (const hub of hubs()) {
    const first = await hub.start();
    await openSessions(first.url, LISTED);
    await first.stop();
    fill(first.database, MANY_MESSAGES);
    const ask: Work = { kind: "asks", path: "/api/sessions", connections: 1, ms: 60_000, count: 1_000 };
    // Roost counts first, in the background, what somebody else has stored.
    const { p50Ms, p99Ms, residentMb } = await measured(
      hub,
      ask,
      () => Bun.sleep(20_000),
      folderOf(hub, first),
    );
    results.push({
      name: `HAPI list of ${LISTED} among 500,000 messages: ${hub.name}`,
      figures: { p50_ms: p50Ms, p99_ms: p99Ms, resident_mb_after: residentMb },
    });
  }
  return results;
}

export async function idleCrowd(): Promise<Result[]> {
  const results: Result[] = [];
  for (const hub of hubs()) {
    const server = await hub.start();
    const before = server.residentMb();
    const clients = load(server, { kind: "crowd", sockets: 1_000, readers: 100 });
    await clients.next();
    await Bun.sleep(20_000);
    results.push({
      name: `HAPI 1,000 idle CLI sockets, 100 readers: ${hub.name}`,
      figures: { resident_mb: server.residentMb(), resident_mb_alone: before },
    });
    await clients.end();
    await server.stop();
    server.remove();
  }
  return results;
}

/** Resident 3 s after the first answer, median of five fresh starts, with default settings. */
export async function start(): Promise<Result[]> {
  const starts = async (flags: string[]) => {
    const [answer, resident]: number[][] = [[], []];
    for (let round = 0; round < 5; round++) {
      const server = await serverProcess({ flags, env: { ROOST_LOG_LEVEL: "warn" } });
      await Bun.sleep(3_000);
      answer?.push(server.firstAnswerMs);
      resident?.push(server.residentMb());
      await server.stop();
    }
    return { first_answer_ms: median(answer ?? []), resident_mb: median(resident ?? []) };
  };
  return [
    {
      name: "start and idle, HAPI on",
      figures: await starts(["--hapi-enabled", "true", "--hapi-port", `${freePort()}`]),
    },
    { name: "start and idle, HAPI off", figures: await starts(["--hapi-enabled", "false"]) },
  ];
}

/** What each hub did, in pairs one after the other, so that a slow spell of the machine hits both. */
async function inPairs(measure: (hub: Hub) => Promise<Measured>): Promise<ReadonlyMap<string, Measured[]>> {
  const all = new Map<string, Measured[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const hub of hubs()) all.set(hub.name, [...(all.get(hub.name) ?? []), await measure(hub)]);
  return all;
}

const OPERATIONS = { per_1k: 1_000, per_10k: 10_000, per_1m: 1_000_000 } as const;

function compared(
  name: string,
  unit: string,
  all: ReadonlyMap<string, readonly Measured[]>,
  per: keyof typeof OPERATIONS,
): Result {
  const rate = ({ count, seconds }: Measured) => count / seconds;
  const cpu = ({ cpuSeconds, count }: Measured) => (cpuSeconds / count) * OPERATIONS[per];
  const ours = all.get("roost") ?? [];
  const theirs = all.get("released") ?? [];
  const of = (runs: readonly Measured[], figure: (run: Measured) => number) => median(runs.map(figure));
  const times = (figure: (run: Measured) => number) =>
    median(theirs.flatMap((their, round) => (ours[round] ? [figure(ours[round]) / figure(their)] : [])));
  return {
    name,
    figures: {
      [unit]: of(ours, rate),
      [`cpu_s_${per}`]: of(ours, cpu),
      p50_ms: of(ours, ({ p50Ms }) => p50Ms),
      p99_ms: of(ours, ({ p99Ms }) => p99Ms),
      clients_cpu: of(ours, ({ cpuShare }) => cpuShare),
      ...(theirs.length > 0 && {
        [`released_${unit}`]: of(theirs, rate),
        [`released_cpu_s_${per}`]: of(theirs, cpu),
        times: times(rate),
        times_by_cpu: 1 / times(cpu),
      }),
    },
  };
}

async function measured(
  hub: Hub,
  work: Work,
  stage?: (server: HubProcess) => Promise<unknown>,
  folder?: string,
): Promise<Measured> {
  const server = await hub.start(folder);
  try {
    await stage?.(server);
    const clients = load(server, work);
    await clients.next();
    const before = server.cpuSeconds();
    await clients.next();
    const cpuSeconds = server.cpuSeconds() - before;
    const done = (await clients.next()) as Done;
    await clients.end();
    return { ...done, cpuSeconds, residentMb: server.residentMb() };
  } finally {
    await server.stop();
    server.remove();
  }
}

function load({ url, jwt }: HubProcess, work: Work): ClientProcess {
  const task: Task = { url, jwt, work };
  return clientProcess(join(import.meta.dir, "hapi", "load.ts"), task);
}

/** Of a hub that is at rest: the folder to start it on again. */
const folderOf = (hub: Hub, { database }: HubProcess): string =>
  hub.name === "roost" ? dirname(dirname(database)) : dirname(database);

/** As an agent writes them, in the format that both hubs share. */
function fill(path: string, messages: number): void {
  const sqlite = new Database(path);
  const listed = sqlite.prepare<{ id: string }, []>("SELECT id FROM sessions");
  const sessions = listed.all();
  const insert = sqlite.prepare(
    `INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at, scheduled_at, delivery_state)
     VALUES (?, ?, ?, ?, ?, NULL, ?, NULL, 'queued')`,
  );
  const began = Date.now() - messages;
  sqlite.transaction(() => {
    for (let index = 0; index < messages; index++) {
      const data = { type: "message", message: `${index} ${"word ".repeat(80)}` };
      const content = JSON.stringify({ role: "agent", content: { type: "codex", data } });
      const at = began + index;
      const session = sessions[index % sessions.length]?.id ?? "";
      insert.run(crypto.randomUUID(), session, content, at, Math.floor(index / sessions.length) + 1, at);
    }
  })();
  // What is still open would keep the server from the file.
  for (const statement of [listed, insert]) statement.finalize();
  sqlite.close(true);
}
