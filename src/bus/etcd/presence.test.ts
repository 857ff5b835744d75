// Presence by itself, before a gateway that answers when the test says so. On a real etcd it runs in ../etcd.test.ts.
import { expect, test } from "bun:test";
import { createLog } from "../../observability/log.ts";
import { base64, type EtcdGateway } from "./gateway.ts";
import { EtcdPresence } from "./presence.ts";

test("a client that goes while its entry's lease is asked for leaves no entry behind", async () => {
  const granted = Promise.withResolvers<{ ID: string }>();
  const puts: string[] = [];
  const gateway = {
    call: async (path: string, body: { key: string }) => {
      if (path === "/v3/lease/grant") return await granted.promise;
      if (path === "/v3/kv/put") puts.push(body.key);
      return {};
    },
  } as unknown as EtcdGateway;
  const presence = new EtcdPresence(gateway, "/p", 30, createLog("silent"));
  const sets = [presence.set("gone", "node"), presence.set("stays", "node")];
  await presence.clear("gone", "node");
  granted.resolve({ ID: "1" });
  await Promise.all(sets);
  expect(puts).toEqual([base64("/p/presence/stays")]);
  await presence.close();
});

test("after an outage the entries of this node are written again, and none of a client that has gone", async () => {
  const written = Promise.withResolvers<string[]>();
  const gateway = {
    call: async (path: string, body: { compare?: unknown; success?: { request_put: { key: string } }[] }) => {
      if (path === "/v3/lease/grant") return { ID: "1" };
      if (path === "/v3/lease/keepalive") return { result: { TTL: 0 } };
      if (path === "/v3/kv/txn" && body.compare === undefined)
        written.resolve((body.success ?? []).map(({ request_put }) => request_put.key));
      return {};
    },
  } as unknown as EtcdGateway;
  // Looks after its lease every 20 ms.
  const presence = new EtcdPresence(gateway, "/p", 0.06, createLog("silent"));
  await Promise.all([presence.set("gone", "node"), presence.set("stays", "node")]);
  await presence.clear("gone", "node");
  expect(await written.promise).toEqual([base64("/p/presence/stays")]);
  await presence.close();
});
