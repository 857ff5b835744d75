// The watch by itself, before a gateway that says what the test gives it: no event is handed on twice, and none of one transaction is
// taken for a repetition of another. On a real etcd it runs in ../etcd.test.ts.
import { afterEach, expect, test } from "bun:test";
import { createLog } from "../../observability/log.ts";
import { base64, type EtcdGateway } from "./gateway.ts";
import { EtcdWatch } from "./watch.ts";

const watches: EtcdWatch[] = [];
afterEach(async () => {
  for (const watch of watches.splice(0)) await watch.close();
});

const created = (revision: number) => ({ result: { header: { revision: String(revision) }, created: true } });
const puts = (...events: [revision: number, value: string, type?: string][]) => ({
  result: {
    header: { revision: "1" },
    events: events.map(([revision, value, type]) => ({
      ...(type === undefined ? {} : { type }),
      kv: { key: base64("/p/x"), value: base64(value), mod_revision: String(revision) },
    })),
  },
});

/** Each connection says its lines; the last one stays open. `current` is what the majority of etcd's members has come to. */
function watch(connections: unknown[][], current = 0) {
  const heard: string[] = [];
  const begins: unknown[] = [];
  const said = Promise.withResolvers<void>();
  const gateway = {
    call: async () => ({ header: { revision: current }, kvs: [] }),
    stream: async (_: string, body: { create_request: { start_revision?: string } }, signal: AbortSignal) => {
      begins.push(body.create_request.start_revision);
      const lines = connections.shift() ?? [];
      const isLast = connections.length === 0;
      return (async function* () {
        yield* lines;
        if (!isLast) return;
        said.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      })();
    },
  } as unknown as EtcdGateway;
  const hooks = {
    onPut: ({ value, revision }: { value: Buffer; revision: number }) => heard.push(`${revision} ${value}`),
    onConnected() {},
    onLost() {},
    onGap: () => heard.push("gap"),
  };
  watches.push(new EtcdWatch({ gateway, prefix: "/p/", hooks, log: createLog("silent") }));
  return { heard, begins, said: said.promise };
}

test("a new watch hears from now on; events of one transaction share a revision; deletions are nothing", async () => {
  const { heard, begins, said } = watch([
    [created(5), puts([6, "a"]), puts([7, "b"], [7, "c"]), puts([8, "d", "DELETE"], [9, "e"])],
  ]);
  await said;
  expect(heard).toEqual(["6 a", "7 b", "7 c", "9 e"]);
  expect(begins).toEqual([undefined]);
});

test("what was handed on before a connection broke is not handed on again", async () => {
  const { heard, begins, said } = watch([
    [created(5), puts([6, "a"], [7, "b"])],
    [created(7), puts([6, "a"], [7, "b"], [8, "c"])],
  ]);
  await said;
  expect(heard).toEqual(["6 a", "7 b", "8 c"]);
  expect(begins).toEqual([undefined, "8"]);
});

test("a history that ended is a gap, and the watch goes on where it begins", async () => {
  const compacted = { result: { header: { revision: "50" }, canceled: true, compact_revision: "40" } };
  const { heard, begins, said } = watch([
    [created(5), puts([6, "a"])],
    [created(50), compacted],
    [created(50), puts([40, "b"], [41, "c"])],
  ]);
  await said;
  expect(heard).toEqual(["6 a", "gap", "40 b", "41 c"]);
  expect(begins).toEqual([undefined, "7", "40"]);
});

test("a member that lags behind is no etcd that began anew: the majority is asked", async () => {
  const connections = () => [
    [created(5), puts([6, "a"], [7, "b"])],
    [created(3), puts([8, "c"])],
  ];
  const lagging = watch(connections(), 7);
  await lagging.said;
  expect([lagging.heard, lagging.begins]).toEqual([
    ["6 a", "7 b", "8 c"],
    [undefined, "8"],
  ]);
  const anew = watch([...connections(), [created(3), puts([4, "d"])]], 3);
  await anew.said;
  expect([anew.heard, anew.begins]).toEqual([
    ["6 a", "7 b", "gap", "4 d"],
    [undefined, "8", "4"],
  ]);
});
