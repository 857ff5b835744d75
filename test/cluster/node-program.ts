// A node of the frames hub as a process of its own, whose server side a test reaches over the process's message channel: what code that
// embeds the hub would call. The settings come from GOHUB_* variables, as in the compose file.
import { openCluster } from "../../src/bus/cluster.ts";
import { FRAMES_BOUNDS } from "../../src/frames/bounds.ts";
import { framesProtocol } from "../../src/frames/index.ts";
import { openLimits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { openFrontDoor } from "../../src/server/front-door.ts";
import { parseConfig, readEnvironment } from "../support/config.ts";
import type { Call, Reply } from "./node-process.ts";

const config = parseConfig(readEnvironment(process.env));
const log = createLog("warn");
const metrics = new Metrics();
const cluster = await openCluster(config, metrics, log);
const limits = openLimits({ config, bounds: FRAMES_BOUNDS, metrics, log });
const protocol = framesProtocol({ config, metrics, limits, cluster, log });
const { sdk } = protocol;
const door = openFrontDoor({
  host: "127.0.0.1",
  listeners: [{ port: 0, served: [protocol] }],
  trustedProxies: [],
  limits,
  log,
});
await cluster?.bus.ready;

const payloadOf = ({ text, base64 }: Call) => text ?? Buffer.from(base64 ?? "", "base64");

async function run(call: Call): Promise<unknown> {
  switch (call.operation) {
    case "broadcast":
      return await sdk.broadcastAll(payloadOf(call));
    case "push":
      return await sdk.sendToClient(call.client ?? "", { data: payloadOf(call) });
    case "count":
      return sdk.getClientCount();
    case "metrics":
      return metrics.render();
    case "stop":
      await door.close(1_000);
      await cluster?.bus.close();
      return undefined;
  }
}

process.on("message", (call: Call) => {
  void run(call).then(
    (result) => process.send?.({ number: call.number, result } satisfies Reply),
    (error: Error) => process.send?.({ number: call.number, error: error.name } satisfies Reply),
  );
});
process.send?.({ number: 0, result: `http://127.0.0.1:${door.port}` } satisfies Reply);
