// From a client of one node to a client of another, through a real etcd: how late one message is, and how many go through.
import { type Etcd, startEtcd, withoutEtcd } from "../test/support/etcd.ts";
import { median, percentile, type Result } from "./figures.ts";
import { type ServerProcess, serverProcess } from "./server-process.ts";

const PACED_PER_SECOND = 50;
const PACED = 500;
const BURST = 2_000;

/** Without an etcd on this machine there is nothing to measure: the result says so, with no figures. */
export async function busAcrossNodes(): Promise<Result[]> {
  const name = "bus: node to node through etcd";
  if (withoutEtcd) return [{ name: `${name} (etcd is not installed)`, figures: {} }];
  const etcd = await startEtcd();
  const servers: ServerProcess[] = [];
  try {
    for (let index = 0; index < 2; index++) servers.push(await serverProcess({ env: clusterOf(etcd) }));
    const [one, two] = servers;
    const heard: { on: (content: number) => void } = { on: () => {} };
    const sender = await connect(one?.url ?? "", "sender");
    const receiver = await connect(two?.url ?? "", "receiver", (content) => heard.on(content));
    await untilThrough(sender, heard);
    const latencies = await paced(sender, heard);
    const burst = await burstOf(sender, heard);
    for (const socket of [sender, receiver]) socket.close();
    return [
      {
        name,
        figures: {
          p50_ms: median(latencies),
          p99_ms: percentile(latencies, 0.99),
          messages_per_s: BURST / (burst / 1_000),
        },
      },
    ];
  } finally {
    for (const server of servers) await server.stop();
    await etcd.stop();
  }
}

const clusterOf = ({ url }: Etcd) => ({ GOHUB_CLUSTER_ENABLED: "true", GOHUB_CLUSTER_ETCD_ENDPOINTS: url });

type Heard = { on: (content: number) => void };

function connect(url: string, id: string, heard: (content: number) => void = () => {}): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws?client_id=${id}`);
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    const at = data.indexOf('"content":');
    if (at >= 0) heard(Number.parseFloat(data.slice(at + 10)));
  };
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("a client could not connect"));
  });
}

function say(sender: WebSocket, content: number): void {
  const data = { target_id: "receiver", content };
  sender.send(JSON.stringify({ message_id: 2, message_type: "direct_message", data }));
}

/** The receiver's node hears the bus once its watch stands. */
async function untilThrough(sender: WebSocket, heard: Heard): Promise<void> {
  let through = false;
  heard.on = () => {
    through = true;
  };
  for (let attempt = 0; !through && attempt < 200; attempt++) {
    say(sender, 0);
    await Bun.sleep(50);
  }
  if (!through) throw new Error("nothing came through the bus");
}

async function paced(sender: WebSocket, heard: Heard): Promise<number[]> {
  const latencies: number[] = [];
  const done = Promise.withResolvers<void>();
  heard.on = (sentAt) => {
    if (sentAt === 0) return;
    latencies.push(performance.now() - sentAt);
    if (latencies.length === PACED) done.resolve();
  };
  for (let index = 0; index < PACED; index++) {
    say(sender, performance.now());
    await Bun.sleep(1_000 / PACED_PER_SECOND);
  }
  await done.promise;
  return latencies;
}

/** Direct messages wait for the bus one after another; a window of them is on the way, as many clients would have. */
async function burstOf(sender: WebSocket, heard: Heard): Promise<number> {
  const window = 100;
  let sent = 0;
  let arrived = 0;
  const done = Promise.withResolvers<void>();
  heard.on = () => {
    arrived++;
    if (arrived === BURST) done.resolve();
    else if (sent < BURST) say(sender, ++sent);
  };
  const began = performance.now();
  for (; sent < window; sent++) say(sender, sent);
  await done.promise;
  return performance.now() - began;
}
