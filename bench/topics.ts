// Durable topics under load, on the compiled executable: one change to a hundred subscribers, and the replay of what was missed.
import { call, login, site, type TopicsUser } from "../test/support/topics-client.ts";
import { median, percentile, type Result } from "./figures.ts";
import { type RawClient, rawClient } from "./raw-client.ts";
import { type ServerProcess, serverProcess } from "./server-process.ts";

const PATH = "/socket.io/";
const SUBSCRIBERS = 100;

interface Stage {
  readonly server: ServerProcess;
  readonly admin: TopicsUser;
  /** The website that changes. */
  readonly id: number;
}

async function stage(): Promise<Stage> {
  const server = await serverProcess({
    env: { ADMIN_USERNAME: "admin", ADMIN_PASSWORD: "admin123", ROOST_LOG_LEVEL: "error" },
  });
  const admin = await login(server.url);
  const created = await admin.post("/websites/create", site("bench.example.com"));
  return { server, admin, id: created.body.data.id };
}

/** The id of the event that a frame's text carries, cheaper than parsing all of it a hundred times. */
const eventIdOf = (json: string): number => Number(/"eventId":(\d+)/.exec(json)?.[1] ?? 0);

const subscriber = ({ server, admin }: Stage, onEvent: (json: string) => void): Promise<RawClient> =>
  rawClient(server.url, PATH, { token: admin.token }, { onEvent });

/** From the request to each of a hundred subscribers at 20 changes a second, then as many changes as ten writers get through. */
export async function topicUpdate(): Promise<Result> {
  const scene = await stage();
  const { server, admin, id } = scene;
  let delivered = 0;
  let began = 0;
  const samples: number[] = [];
  let wanted = Number.POSITIVE_INFINITY;
  let finished = Promise.withResolvers<void>();
  const clients = await Promise.all(
    Array.from({ length: SUBSCRIBERS }, () =>
      subscriber(scene, (json) => {
        if (eventIdOf(json) === 0) return;
        samples.push(performance.now() - began);
        if (++delivered === wanted) finished.resolve();
      }),
    ),
  );
  const changes = 200;
  for (let round = 0; round < changes; round++) {
    wanted = delivered + SUBSCRIBERS;
    finished = Promise.withResolvers<void>();
    began = performance.now();
    await Promise.all([admin.post("/websites/update", { id }), finished.promise]);
    await Bun.sleep(50);
  }
  const latencies = samples.splice(0);

  const storm = 2_000;
  const writers = 10;
  wanted = delivered + storm * SUBSCRIBERS;
  finished = Promise.withResolvers<void>();
  const started = performance.now();
  await Promise.all([
    ...Array.from({ length: writers }, async () => {
      for (let round = 0; round < storm / writers; round++) await admin.post("/websites/update", { id });
    }),
    finished.promise,
  ]);
  const seconds = (performance.now() - started) / 1000;
  const resident = server.residentMb();
  for (const client of clients) client.close();
  await server.stop();
  return {
    name: `topic update to ${SUBSCRIBERS} subscribers`,
    figures: {
      p50_ms: percentile(latencies, 0.5),
      p99_ms: percentile(latencies, 0.99),
      changes_per_s: storm / seconds,
      deliveries_per_s: (storm * SUBSCRIBERS) / seconds,
      resident_mb_after: resident,
    },
  };
}

/** A subscriber that missed 500 changes: from its question to the acknowledgement behind the last of them. */
export async function topicReplay(): Promise<Result> {
  const scene = await stage();
  const { server, admin, id } = scene;
  const missed = 500;
  for (let round = 0; round < missed / 50; round++) {
    await Promise.all(Array.from({ length: 50 }, () => admin.post("/websites/update", { id })));
  }
  const times: number[] = [];
  for (let round = 0; round < 100; round++) {
    let heard = 0;
    const client = await subscriber(scene, (json) => {
      if (eventIdOf(json) > 0) heard++;
    });
    const began = performance.now();
    await new Promise((resolve) => client.send("request:websites", { lastEventId: 1 }, resolve));
    times.push(performance.now() - began);
    if (heard !== missed) throw new Error(`${heard} of ${missed} events were replayed`);
    client.close();
  }
  const ping = await call(server.url, "GET", "/ping");
  if (ping.status !== 200) throw new Error("the server does not answer any more");
  await server.stop();
  return {
    name: `replay of ${missed} events`,
    figures: {
      median_ms: median(times),
      p99_ms: percentile(times, 0.99),
      events_per_s: (missed / median(times)) * 1000,
    },
  };
}
