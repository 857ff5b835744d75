// The compose file shows settings that the server understands, nodes that share what they must, and an etcd where they look for it.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { parseConfig, readEnvironment } from "../support/config.ts";

const service = z.object({
  environment: z.record(z.string(), z.string()),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()),
  command: z.array(z.string()).default([]),
});
const file = z.object({
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()),
});

const compose = file.parse(
  parse(readFileSync(join(import.meta.dir, "compose.yaml"), "utf8"), { merge: true, maxAliasCount: 10 }),
);
const { etcd, ...nodes } = compose.services;

test("two nodes with settings that the server understands, every one of them", () => {
  expect(Object.keys(nodes)).toEqual(["one", "two"]);
  for (const { environment } of Object.values(nodes)) {
    expect(Object.keys(readEnvironment(environment))).toHaveLength(Object.keys(environment).length);
    expect(parseConfig(readEnvironment(environment))).toMatchObject({
      clusterEnabled: true,
      framesHubEnabled: true,
    });
  }
});

test("they share etcd and the secret, and neither port nor data", () => {
  const [one, two] = Object.values(nodes);
  expect(two?.environment).toEqual(one?.environment ?? {});
  expect(new Set([one?.ports[0], two?.ports[0]]).size).toBe(2);
  expect(new Set([one?.volumes[0], two?.volumes[0]]).size).toBe(2);
  const endpoint = one?.environment.GOHUB_CLUSTER_ETCD_ENDPOINTS ?? "";
  expect(etcd?.command).toContain(`--advertise-client-urls=${endpoint}`);
  expect(new URL(endpoint).hostname).toBe("etcd");
});

test("every volume that is used is declared", () => {
  const used = Object.values(compose.services).flatMap(({ volumes }) =>
    volumes.map((volume) => volume.split(":")[0] ?? ""),
  );
  expect(used.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
});
