// The topics protocol behind a door of its own, in this process, so that a test may reach into it. It has one more topic than its
// configuration says: "nodes", whose items are their ids.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cluster } from "../../src/bus/cluster.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { parseRanges } from "../../src/server/client-address.ts";
import { openFrontDoor } from "../../src/server/front-door.ts";
import { SocketIoPaths } from "../../src/server/socket-io.ts";
import type { Database } from "../../src/storage/database.ts";
import { type Topics, topicsProtocol } from "../../src/topics/index.ts";
import { openTopicsDatabase } from "../../src/topics/store/database.ts";
import { type Topic, topic } from "../../src/topics/topic.ts";
import type { Config } from "./config.ts";
import { parseConfig } from "./config.ts";
import { testLimits } from "./limits.ts";
import { TOPICS_SECRET } from "./topics-client.ts";

export interface OpenTopics extends Topics {
  readonly url: string;
  readonly dataDir: string;
  readonly database: Database;
  readonly websites: Topic;
  readonly nodes: Topic;
  readonly metrics: Metrics;
  close(): Promise<void>;
}

export async function openTopics(overrides: Partial<Config> = {}, cluster?: Cluster): Promise<OpenTopics> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-topics-"));
  const log = createLog("silent");
  const database = openTopicsDatabase(dataDir, log);
  const metrics = new Metrics();
  const limits = testLimits();
  const sockets = new SocketIoPaths({ limits, log });
  const nodes = topic({
    name: "nodes",
    itemKey: "id",
    snapshot: () => ({ items: [], total: 0 }),
    project: (_db, id) => ({ id }),
  });
  const topics = await topicsProtocol({
    config: {
      ...parseConfig({}),
      topicsJwtSecret: TOPICS_SECRET,
      topicsAdminUsername: "admin",
      topicsAdminPassword: "admin123",
      topicsPollMs: 100,
      ...overrides,
    },
    masterSecret: "secret",
    database,
    metrics,
    limits,
    sockets,
    cluster,
    log,
    topics: [nodes],
  });
  const websites = topics.context.topics.get("websites");
  if (websites === undefined) throw new Error("there is no topic of websites");
  const { protocol } = topics;
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [{ port: 0, served: [protocol] }],
    shared: sockets.open(),
    trustedProxies: parseRanges(overrides.trustedProxies ?? []),
    limits,
    log,
  });
  return {
    ...topics,
    url: `http://127.0.0.1:${door.port}`,
    dataDir,
    database,
    websites,
    nodes,
    metrics,
    close: async () => {
      await door.close(1_000);
      await protocol.stop();
      await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
