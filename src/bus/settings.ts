// Settings of the bus between nodes.
import { z } from "zod";
import { duration } from "../config/duration.ts";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, list, text, url } from "../config/values.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const busSettings = {
  clusterEnabled: setting(
    flag().default(false),
    "carry broadcasts of all protocols to the other nodes over a bus",
  ),
  clusterBusType: setting(
    z.enum(["etcd", "memory"]).default("etcd"),
    "the bus between nodes (memory: within this process)",
  ),
  clusterBusTimeout: setting(
    duration(-HOUR, HOUR)
      .prefault("5s")
      .transform((ms) => (ms <= 0 ? 5_000 : ms)),
    "time in which the bus between nodes must take a message",
    { was: ["serverBusTimeout"] },
  ),
  clusterEtcdEndpoints: setting(
    list().default(["http://etcd:2379"]).pipe(z.array(url()).min(1)),
    "addresses of etcd, comma-separated",
  ),
  clusterEtcdDialTimeout: setting(
    duration(10, HOUR).prefault("5s"),
    "time in which an etcd endpoint must answer",
  ),
  clusterEtcdKeyPrefix: setting(
    z
      .string()
      .regex(/^\/[\x21-\x7e]*[^/]$/, "it must begin with a slash and not end in one")
      .default("/gohub"),
    "prefix of this cluster's keys in etcd",
  ),
  clusterEtcdLeaseTtl: setting(duration(5_000, 10 * MINUTE).prefault("30s"), "life of a message in etcd"),
  clusterEtcdUsername: setting(text().optional(), "user name at etcd"),
  clusterEtcdPassword: setting(text().optional(), "password at etcd", {
    secret: true,
  }),
  clusterEtcdTlsCa: setting(text().optional(), "PEM file of the authority that signed etcd's certificate"),
  clusterEtcdTlsCert: setting(text().optional(), "PEM file of this node's certificate for etcd"),
  clusterEtcdTlsKey: setting(text().optional(), "PEM file of the key to that certificate"),
} as const satisfies Record<string, Setting>;

export type BusConfig = Values<typeof busSettings>;
