// The Happy protocol under load: the figures that issue and README promise, on the compiled executable with synchronous=FULL.
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { newAccount } from "../test/support/happy-client.ts";
import { median, percentile, type Result } from "./figures.ts";
import { rawClient } from "./raw-client.ts";
import { serverProcess } from "./server-process.ts";

const PATH = "/v1/updates/";

export async function startAndIdle(): Promise<Result[]> {
  const first = await serverProcess();
  await first.stop(true);
  const starts: number[] = [];
  for (let round = 0; round < 10; round++) {
    const server = await serverProcess({ dataDir: first.dataDir });
    starts.push(server.firstAnswerMs);
    await server.stop(true);
  }
  const server = await serverProcess({ dataDir: first.dataDir });
  await Bun.sleep(20_000);
  const idle = server.residentMb();
  await server.stop();
  return [
    {
      name: "start to first answer",
      figures: {
        fresh_folder_ms: first.firstAnswerMs,
        median_ms: median(starts),
        max_ms: Math.max(...starts),
      },
    },
    { name: "idle memory", figures: { resident_mb: idle } },
  ];
}

export async function idleSockets(): Promise<Result[]> {
  const results: Result[] = [];
  for (const count of [50, 1_000]) {
    const server = await serverProcess();
    const { token } = await newAccount(server.url);
    const clients = await Promise.all(
      Array.from({ length: count }, () => rawClient(server.url, PATH, { token, clientType: "user-scoped" })),
    );
    await Bun.sleep(20_000);
    results.push({ name: `${count} idle sockets`, figures: { resident_mb: server.residentMb() } });
    for (const client of clients) client.close();
    await server.stop();
  }
  return results;
}

interface Stage {
  readonly sid: string;
  readonly token: string;
}

async function stage(url: string): Promise<Stage> {
  const account = await newAccount(url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "bench", metadata: "bWV0YQ==" });
  return { sid: opened.body.session.id, token: account.token };
}

/** One sender over a socket to four listeners; the clock stops when the last listener has the last message. */
export async function throughput(): Promise<Result> {
  const server = await serverProcess();
  const { sid, token } = await stage(server.url);
  const total = 40_000;
  const finished = Promise.withResolvers<void>();
  let delivered = 0;
  const listeners = await Promise.all(
    Array.from({ length: 4 }, () =>
      rawClient(
        server.url,
        PATH,
        { token, clientType: "user-scoped" },
        {
          onEvent: () => {
            if (++delivered === total * 4) finished.resolve();
          },
        },
      ),
    ),
  );
  const sender = await rawClient(server.url, PATH, { token, clientType: "session-scoped", sessionId: sid });
  const message = "x".repeat(200);
  const cpu = server.cpuSeconds();
  const started = performance.now();
  // In bursts, so that this process gets to read between them.
  for (let sent = 0; sent < total; ) {
    for (let burst = 0; burst < 200; burst++, sent++)
      sender.send("message", { sid, message, localId: `m${sent}` });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await finished.promise;
  const seconds = (performance.now() - started) / 1000;
  const cpuPer10k = ((server.cpuSeconds() - cpu) / total) * 10_000;
  const resident = server.residentMb();
  for (const client of [...listeners, sender]) client.close();
  await server.stop();
  return {
    name: "durable messages, one sender to four listeners",
    figures: { messages_per_s: total / seconds, cpu_s_per_10k: cpuPer10k, resident_mb_after: resident },
  };
}

/** Delivery time at a steady 500 messages a second for 20 s, to each of four listeners. */
export async function latency(): Promise<Result> {
  const server = await serverProcess();
  const { sid, token } = await stage(server.url);
  const samples: number[] = [];
  const listeners = await Promise.all(
    Array.from({ length: 4 }, () =>
      rawClient(
        server.url,
        PATH,
        { token, clientType: "user-scoped" },
        {
          onEvent: (json) => {
            const at = json.indexOf('"c":"') + 5;
            samples.push(performance.now() - Number(json.slice(at, json.indexOf('"', at))));
          },
        },
      ),
    ),
  );
  const sender = await rawClient(server.url, PATH, { token, clientType: "session-scoped", sessionId: sid });
  const perSecond = 500;
  const total = perSecond * 20;
  const started = performance.now();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * perSecond));
    for (; sent < due; sent++)
      sender.send("message", { sid, message: String(performance.now()), localId: `m${sent}` });
    await Bun.sleep(1);
  }
  while (samples.length < total * 4) await Bun.sleep(10);
  for (const client of [...listeners, sender]) client.close();
  await server.stop();
  return {
    name: "delivery at 500 messages/s",
    figures: {
      p50_ms: percentile(samples, 0.5),
      p99_ms: percentile(samples, 0.99),
      max_ms: Math.max(...samples),
    },
  };
}

export async function rpc(): Promise<Result> {
  const server = await serverProcess();
  const { token } = await newAccount(server.url);
  const target = await rawClient(
    server.url,
    PATH,
    { token, clientType: "machine-scoped", machineId: "m" },
    { onRequest: () => "b2s=" },
  );
  target.send("rpc-register", { method: "m:bash" });
  const caller = await rawClient(server.url, PATH, { token, clientType: "user-scoped" });
  const samples: number[] = [];
  for (let round = 0; round < 5_000; round++) {
    const started = performance.now();
    await new Promise((resolve) =>
      caller.send("rpc-call", { method: "m:bash", params: "cGFyYW1z" }, resolve),
    );
    if (round >= 500) samples.push(performance.now() - started);
  }
  target.close();
  caller.close();
  await server.stop();
  return {
    name: "RPC round trip",
    figures: { p50_ms: percentile(samples, 0.5), p99_ms: percentile(samples, 0.99) },
  };
}

/** 150 sessions with 500,000 messages in the database. */
export async function sessionList(): Promise<Result> {
  const first = await serverProcess();
  const account = await newAccount(first.url);
  for (let index = 0; index < 150; index++) {
    await account.call("POST", "/v1/sessions", { tag: `t${index}`, metadata: "x".repeat(600) });
  }
  await first.stop(true);
  fill(join(first.dataDir, "happy.db"), 500_000);
  const server = await serverProcess({ dataDir: first.dataDir });
  const samples: number[] = [];
  const headers = { authorization: `Bearer ${account.token}` };
  for (let round = 0; round < 1_000; round++) {
    const started = performance.now();
    await (await fetch(`${server.url}/v1/sessions`, { headers })).text();
    if (round >= 100) samples.push(performance.now() - started);
  }
  const resident = server.residentMb();
  await server.stop();
  return {
    name: "session list, 150 sessions, 500,000 messages",
    figures: {
      p50_ms: percentile(samples, 0.5),
      p99_ms: percentile(samples, 0.99),
      resident_mb_after: resident,
    },
  };
}

function fill(path: string, messages: number): void {
  const sqlite = new Database(path);
  const sessions = sqlite.query<{ pk: number }, []>("SELECT pk FROM sessions").all();
  const insert = sqlite.prepare(
    "INSERT INTO messages (id, session_pk, seq, local_id, content, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  sqlite.transaction(() => {
    const content = "x".repeat(300);
    for (let index = 0; index < messages; index++) {
      const session = sessions[index % sessions.length]?.pk ?? 1;
      const now = Date.now();
      insert.run(
        `c${index}`,
        session,
        Math.floor(index / sessions.length) + 1,
        `l${index}`,
        content,
        now,
        now,
      );
    }
    sqlite.run("UPDATE sessions SET seq = (SELECT max(seq) FROM messages WHERE session_pk = sessions.pk)");
  })();
  sqlite.close();
}
