// The clients of the RPC scenarios, a process of their own: told by one JSON argument what to do, they print a line of JSON when they begin
// to be measured, one when they end, and one of what came of it.
import { percentile } from "../figures.ts";
import { checkAnswer, encodedCall, type FormatName } from "./bodies.ts";
import { closedLoop, request, wholeStream } from "./raw.ts";

const RPC = "/aduib_rpc/v2";

export type Work =
  /** So many calls on their way at one time, for a time or for a number of them. */
  | {
      readonly kind: "calls";
      readonly format: FormatName;
      readonly inFlight: number;
      readonly ms: number;
      readonly count?: number;
      readonly isCold?: boolean;
    }
  /** The same of a path that answers GET. */
  | { readonly kind: "asks"; readonly path: string; readonly inFlight: number; readonly ms: number }
  /** So many at one time, one after the other. */
  | { readonly kind: "streams"; readonly streams: number; readonly items: number; readonly ms: number }
  /** Each is submitted, and looked at when it is over. */
  | { readonly kind: "tasks"; readonly tasks: number; readonly inFlight: number };

export interface Task {
  readonly url: string;
  readonly work: Work;
}

export interface Done {
  readonly count: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of one core that this process took: near 1 it was the slower of the two. */
  readonly cpuShare: number;
  /** Of tasks: until all were submitted. */
  readonly submittedSeconds?: number;
}

const say = (line: unknown) => console.log(JSON.stringify(line));
/** What is called often is compiled by then. */
const WARM_UP = 20_000;

/** Whatever is answered until the warm-up is over does not count. `isCold`: there is none. */
async function measured(
  parts: { readonly ms: number; readonly count?: number; readonly isCold?: boolean },
  loop: (answered: (tookMs: number) => boolean) => Promise<void>,
): Promise<Done> {
  const { ms, count = Number.POSITIVE_INFINITY, isCold = false } = parts;
  let left = isCold ? 0 : WARM_UP;
  let tookMs: number[] = [];
  let isOver = false;
  let began = 0;
  let cpu = process.cpuUsage();
  let done: Done | undefined;
  const end = () => {
    isOver = true;
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    say({ ended: true });
    done = {
      count: tookMs.length,
      seconds,
      p50Ms: percentile(tookMs, 0.5),
      p99Ms: percentile(tookMs, 0.99),
      cpuShare: (user + system) / 1e6 / seconds,
    };
  };
  const begin = () => {
    say({ began: true });
    tookMs = [];
    cpu = process.cpuUsage();
    began = performance.now();
    setTimeout(() => !isOver && end(), ms);
  };
  if (isCold) begin();
  await loop((took) => {
    if (isOver) return false;
    if (left > 0) {
      if (--left === 0) begin();
      return true;
    }
    tookMs.push(took);
    if (tookMs.length >= count) end();
    return !isOver;
  });
  if (done === undefined) throw new Error("nothing was measured");
  return done;
}

function calls(url: string, { format, inFlight, ...parts }: Work & { kind: "calls" }): Promise<Done> {
  const { type, body } = encodedCall(format);
  let answers = 0;
  return measured(parts, (answered) =>
    closedLoop({
      url,
      requests: [request("POST", `${RPC}/rpc`, type, body)],
      connections: inFlight,
      answered: (answer, tookMs) => {
        // An answer with any status but 200 ends the bench; what is in it is read of some.
        if (answers++ % 1_000 === 0) checkAnswer(format, answer);
        return answered(tookMs);
      },
    }),
  );
}

function asks(url: string, { path, inFlight, ms }: Work & { kind: "asks" }): Promise<Done> {
  return measured({ ms }, (answered) =>
    closedLoop({
      url,
      requests: [request("GET", path)],
      connections: inFlight,
      answered: (_, tookMs) => answered(tookMs),
    }),
  );
}

const envelope = (method: string, data: object) =>
  Buffer.from(JSON.stringify({ aduib_rpc: "2.0", id: crypto.randomUUID(), method, data }));

/** Counts items. */
async function streams(url: string, work: Work & { kind: "streams" }): Promise<Done> {
  const body = envelope("rpc.v2/StreamService/Count", { n: work.items });
  const whole = request("POST", `${RPC}/rpc/stream`, "application/json", body);
  const first = await wholeStream(url, whole, true);
  const items = first.split('"type":"data"').length - 1;
  if (items !== work.items || !first.includes('"type":"end"'))
    throw new Error(`${items} items came: ${first.slice(-300)}`);
  say({ began: true });
  const cpu = process.cpuUsage();
  const began = performance.now();
  let ended = 0;
  await Promise.all(
    Array.from({ length: work.streams }, async () => {
      while (performance.now() - began < work.ms) {
        await wholeStream(url, whole, false);
        ended++;
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  say({ ended: true });
  const cpuShare = (user + system) / 1e6 / seconds;
  return { count: ended * work.items, seconds, p50Ms: 0, p99Ms: 0, cpuShare };
}

const post = async (url: string, path: string, body: object) => {
  const answer = await fetch(`${url}${RPC}/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

/** From the first submission until every task is over. */
async function tasks(url: string, work: Work & { kind: "tasks" }): Promise<Done> {
  const data = { target_method: "rpc.v2/EchoService/Echo", params: { text: "of a task" } };
  const submission = request(
    "POST",
    `${RPC}/TaskService/Submit`,
    "application/json",
    Buffer.from(JSON.stringify(data)),
  );
  const ids: string[] = [];
  const tookMs: number[] = [];
  say({ began: true });
  const cpu = process.cpuUsage();
  const began = performance.now();
  let sent = work.inFlight;
  await closedLoop({
    url,
    requests: [submission],
    connections: work.inFlight,
    answered: (body, took) => {
      ids.push((JSON.parse(body.toString()) as { task_id: string }).task_id);
      tookMs.push(took);
      return sent++ < work.tasks;
    },
  });
  const submittedSeconds = (performance.now() - began) / 1_000;
  const stateOf = async (task_id: string | undefined) =>
    ((await post(url, "TaskService/Query", { task_id })) as { task: { status: string } }).task.status;
  // They are run in the order in which they came, so the last one is among the last to be over.
  while ((await stateOf(ids.at(-1))) !== "succeeded") await Bun.sleep(20);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  say({ ended: true });
  for (const id of ids) {
    const state = await stateOf(id);
    if (state !== "succeeded") throw new Error(`a task is ${state}`);
  }
  return {
    count: ids.length,
    seconds,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
    cpuShare: (user + system) / 1e6 / seconds,
    submittedSeconds,
  };
}

if (import.meta.main) {
  const { url, work } = JSON.parse(process.argv[2] ?? "") as Task;
  if (work.kind === "calls") say(await calls(url, work));
  else if (work.kind === "asks") say(await asks(url, work));
  else say(work.kind === "streams" ? await streams(url, work) : await tasks(url, work));
  process.exit(0);
}
