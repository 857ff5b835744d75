// The clients of HAPI's scenarios, a process of their own: told by one JSON argument what to do, they print one JSON line of what came of
// it. Each loop is closed: what is answered, or heard by a reader, is followed by the next.
import { percentile } from "../figures.ts";
import { type RawClient, rawClient } from "../raw-client.ts";
import { openSessions, TOKEN } from "./hubs.ts";
import { eventReader, rawHttp, rawRequest } from "./raw.ts";

export type Work =
  | {
      readonly kind: "messages";
      /** A CLI's `message` event, or a web client's POST. */
      readonly via: "cli" | "rest";
      readonly senders: number;
      /** Of each sender, on the way at one time. */
      readonly window: number;
      readonly readers: number;
      readonly ms: number;
    }
  | {
      readonly kind: "asks";
      readonly path: string;
      readonly connections: number;
      /** Ends at whichever comes first. */
      readonly ms: number;
      readonly count?: number;
      readonly headers?: Record<string, string>;
    }
  /** Opens them, says so, and stays until its standard input ends. */
  | { readonly kind: "crowd"; readonly sockets: number; readonly readers: number };

export interface Done {
  readonly count: number;
  readonly seconds: number;
  /** Of the readers together. */
  readonly deliveries: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly bytes: number;
  /** Share of one core that this process took: near 1 it was the slower of the two. */
  readonly cpuShare: number;
}

export interface Task {
  readonly url: string;
  readonly jwt: string;
  readonly work: Work;
}

const PATH = "/socket.io/";
const WARM_UP_MS = 1_000;
const LOST_AFTER_MS = 30_000;
const ALIVE_MS = 2_000;
const TEXT = "x".repeat(1_024);

/** Of a session whose CLI is there and says so. */
async function cli(url: string, sessionId: string): Promise<RawClient> {
  const socket = await rawClient(url, PATH, { token: TOKEN, sessionId }, { namespace: "/cli" });
  const alive = () =>
    socket.send("session-alive", { sid: sessionId, time: Date.now(), thinking: false, mode: "remote" });
  alive();
  setInterval(alive, ALIVE_MS).unref();
  await new Promise((resolve) => socket.send("ping", undefined, resolve));
  return socket;
}

async function messages({ url, jwt }: Task, work: Extract<Work, { kind: "messages" }>): Promise<Done> {
  const sessions = await openSessions(url, work.senders);
  const clis = await Promise.all(sessions.map((id) => cli(url, id)));
  const posters = work.via === "rest" ? await Promise.all(sessions.map(() => rawHttp(url))) : [];
  let sent = 0;
  let answered = 0;
  let deliveries = 0;
  let isOver = false;
  let latencies: number[] = [];
  const said = sessions.map(() => [] as number[]);
  const texts = sessions.map((_, sender) => `@${String(sender).padStart(4, "0")}@${TEXT}`);
  const say = (sender: number) => {
    sent++;
    said[sender]?.push(performance.now());
    const message = { type: "message", message: texts[sender] };
    clis[sender]?.send("message", {
      sid: sessions[sender],
      message: { role: "agent", content: { type: "codex", data: message } },
    });
  };
  const heard = (sender: number) => {
    answered++;
    latencies.push(performance.now() - (said[sender]?.shift() ?? Number.NaN));
    if (!isOver) say(sender);
  };
  for (let index = 0; index < work.readers; index++)
    await eventReader(url, jwt, (sender) => {
      deliveries++;
      if (index === 0 && work.via === "cli") heard(sender);
    });
  const post = async (sender: number) => {
    const body = (localId: string) => JSON.stringify({ text: texts[sender], localId });
    const headers = { Authorization: `Bearer ${jwt}`, "Content-Type": "application/json" };
    const path = `/api/sessions/${sessions[sender]}/messages`;
    while (!isOver) {
      const began = performance.now();
      const localId = `${sender}-${sent++}`.padEnd(36, "-");
      await posters[sender]?.ask(rawRequest("POST", path, headers, body(localId)));
      latencies.push(performance.now() - began);
      answered++;
    }
  };
  const isHeard = () => deliveries === sent * work.readers;
  const loops = sessions.map(async (_, sender) => {
    if (work.via === "rest") return post(sender);
    for (let window = 0; window < work.window; window++) say(sender);
  });
  await Bun.sleep(WARM_UP_MS);
  latencies = [];
  const [answeredBefore, deliveriesBefore] = [answered, deliveries];
  const cpu = process.cpuUsage();
  console.log(JSON.stringify({ began: true }));
  const began = performance.now();
  await Bun.sleep(work.ms);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const count = answered - answeredBefore;
  const heardBy = deliveries - deliveriesBefore;
  console.log(JSON.stringify({ ended: true }));
  isOver = true;
  await Promise.all(loops);
  for (let waited = 0; !isHeard(); waited += 20) {
    if (waited > LOST_AFTER_MS) throw new Error(`${deliveries} of ${sent * work.readers} deliveries came`);
    await Bun.sleep(20);
  }
  return {
    count,
    seconds,
    deliveries: heardBy,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    bytes: 0,
    cpuShare: (user + system) / 1e6 / seconds,
  };
}

async function asks({ url, jwt }: Task, work: Extract<Work, { kind: "asks" }>): Promise<Done> {
  const bearer = work.path.startsWith("/cli") ? TOKEN : jwt;
  const request = rawRequest("GET", work.path, { Authorization: `Bearer ${bearer}`, ...work.headers });
  const connections = await Promise.all(Array.from({ length: work.connections }, () => rawHttp(url)));
  for (let index = 0; index < 20; index++) await Promise.all(connections.map((one) => one.ask(request)));
  const latencies: number[] = [];
  let bytes = 0;
  console.log(JSON.stringify({ began: true }));
  const cpu = process.cpuUsage();
  const began = performance.now();
  const until = began + work.ms;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < until && latencies.length < (work.count ?? Number.POSITIVE_INFINITY)) {
        const asked = performance.now();
        bytes = await connection.ask(request);
        latencies.push(performance.now() - asked);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ ended: true }));
  return {
    count: latencies.length,
    seconds,
    deliveries: 0,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    bytes,
    cpuShare: (user + system) / 1e6 / seconds,
  };
}

async function crowd({ url, jwt }: Task, work: Extract<Work, { kind: "crowd" }>): Promise<void> {
  const sessions = await openSessions(url, 20);
  for (let begin = 0; begin < work.sockets; begin += 50)
    await Promise.all(
      Array.from({ length: Math.min(50, work.sockets - begin) }, (_, index) =>
        rawClient(
          url,
          PATH,
          { token: TOKEN, sessionId: sessions[(begin + index) % sessions.length] },
          { namespace: "/cli" },
        ),
      ),
    );
  for (let index = 0; index < work.readers; index++) await eventReader(url, jwt, () => {});
  console.log(JSON.stringify({ began: true }));
  await Bun.stdin.text();
}

if (import.meta.main) {
  const task = JSON.parse(process.argv[2] ?? "") as Task;
  const { work } = task;
  if (work.kind === "crowd") await crowd(task, work);
  else
    console.log(
      JSON.stringify(work.kind === "messages" ? await messages(task, work) : await asks(task, work)),
    );
  process.exit(0);
}
