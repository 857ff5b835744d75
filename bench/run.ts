// `bun run bench [word ...]`: runs the scenarios whose name contains one of the words (all without one), prints a table, and writes
// the same as JSON to bench/results/latest.json.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { busAcrossNodes } from "./bus.ts";
import type { Result, Scenario } from "./figures.ts";
import { framesBroadcast } from "./frames.ts";
import * as hapi from "./hapi.ts";
import { idleSockets, latency, rpc, sessionList, startAndIdle, throughput } from "./happy.ts";
import * as roomRpc from "./rpc.ts";
import { topicReplay, topicUpdate } from "./topics.ts";

const scenarios: Readonly<Record<string, Scenario>> = {
  "happy-start": startAndIdle,
  "happy-throughput": throughput,
  "happy-latency": latency,
  "happy-rpc": rpc,
  "happy-session-list": sessionList,
  "happy-idle-sockets": idleSockets,
  "hapi-start": hapi.start,
  "hapi-messages": hapi.messages,
  "hapi-fan-out": hapi.fanOut,
  "hapi-session-list": hapi.lists,
  "hapi-pages": hapi.pages,
  "hapi-long-list": hapi.longList,
  "hapi-idle-crowd": hapi.idleCrowd,
  "rpc-unary": roomRpc.unary,
  "rpc-stream": roomRpc.streamed,
  "rpc-tasks": roomRpc.tasks,
  "rpc-memory": roomRpc.memory,
  "rpc-off-and-on": roomRpc.offAndOn,
  "topics-update": topicUpdate,
  "topics-replay": topicReplay,
  "frames-broadcast": framesBroadcast,
  "bus-across-nodes": busAcrossNodes,
};

const words = process.argv.slice(2);
const results: Result[] = [];
console.log(
  `Bun ${Bun.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${process.platform}-${process.arch}\n`,
);
for (const [name, scenario] of Object.entries(scenarios)) {
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  for (const result of [await scenario()].flat()) {
    results.push(result);
    const figures = Object.entries(result.figures).map(
      ([key, value]) => `${key}=${value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en")}`,
    );
    console.log(`${result.name.padEnd(50)} ${figures.join("  ")}`);
  }
}
mkdirSync("bench/results", { recursive: true });
writeFileSync(
  "bench/results/latest.json",
  `${JSON.stringify({ bun: Bun.version, at: new Date().toISOString(), results }, undefined, 2)}\n`,
);
process.exit(0);
