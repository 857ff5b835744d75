// From the configuration to a bus: none by default, the engine that was chosen, and an error for what cannot be read.
import { expect, test } from "bun:test";
import type { Config } from "../../test/support/config.ts";
import { parseConfig } from "../../test/support/config.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { openCluster } from "./cluster.ts";

const log = createLog("silent");
const open = (overrides: Partial<Config>, metrics = new Metrics()) =>
  openCluster({ ...parseConfig({}), ...overrides }, metrics, log);

test("by default a node is alone, and nothing is counted", async () => {
  const metrics = new Metrics();
  expect(await open({}, metrics)).toBeUndefined();
  expect(metrics.render()).toBe("");
});

test("the memory bus", async () => {
  const cluster = await open({ clusterEnabled: true, clusterBusType: "memory", clusterBusTimeout: 123 });
  expect([cluster?.bus.engine, cluster?.timeoutMs]).toEqual(["memory", 123]);
  await cluster?.bus.close();
});

test("the etcd bus is opened whether or not etcd is there", async () => {
  const metrics = new Metrics();
  const cluster = await open({ clusterEnabled: true, clusterEtcdEndpoints: ["http://127.0.0.1:1"] }, metrics);
  expect([cluster?.bus.engine, cluster?.bus.connected]).toEqual(["etcd", false]);
  expect(metrics.render()).toContain('gohub_bus_reconnects_total{bus="etcd"} 0');
  await cluster?.bus.close();
});

test("a certificate that cannot be read is an error at the start", async () => {
  await expect(open({ clusterEnabled: true, clusterEtcdTlsCa: "/nowhere/ca.pem" })).rejects.toThrow(
    "/nowhere/ca.pem",
  );
});
