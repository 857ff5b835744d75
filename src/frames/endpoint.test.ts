// From the upgrade to the last event of a socket: what is counted at which moment, and that nothing of a connection outlives it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { HUB_DEFAULTS, type HubNode, hubNode } from "../../test/support/hub-node.ts";
import { stuckConnection } from "../../test/support/stuck-connection.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import type { Peer } from "../server/peer.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import type { Admission, Admitted } from "./admission.ts";
import { hubEndpoint } from "./endpoint.ts";
import type { Identity } from "./identity.ts";
import { isSame } from "./identity.ts";
import { hubMetrics } from "./metrics.ts";
import { Shares } from "./shares.ts";

let node: HubNode;
beforeEach(async () => {
  node = await hubNode();
});
afterEach(async () => await node.stop());

/** The endpoint before a real hub, with a door that lets everybody in. */
function endpoint() {
  const shares = new Shares(HUB_DEFAULTS);
  const share = shares.ofAddress("198.51.100.1", false);
  const waiting: Admitted[] = [];
  const admission = {
    admit: async () => waiting.shift(),
    isTaken: (identity: Identity) => {
      const holder = node.hub.find(identity.id);
      return holder !== undefined && !isSame(holder.identity, identity);
    },
  } as unknown as Admission;
  const made = hubEndpoint({
    path: "/ws",
    maxQueuedBytes: 1_000_000,
    hub: node.hub,
    admission,
    settings: HUB_DEFAULTS,
    metrics: hubMetrics(new Metrics()),
    log: createLog("silent"),
  });
  const known: string[] = [];
  const facts = {
    caller: { authenticated: (account: string) => known.push(account) },
  } as unknown as RequestFacts;
  const request = new Request("http://hub.example/ws", { headers: { upgrade: "websocket" } });
  /** Through the door; the peer is what opens later. */
  const handshake = async (identity: Identity, succeeds = true) => {
    waiting.push({ identity, share });
    let data: unknown;
    const upgrade = (_: Request, options: { data?: unknown }) => {
      data = options.data;
      return succeeds;
    };
    const response = await made.handle(request, { upgrade }, facts);
    const { connection, closes } = stuckConnection();
    return { peer: { ...connection, data } as unknown as Peer, closes, status: response.status };
  };
  return { made, share, handshake, known };
}

describe("a client of its share", () => {
  test("is counted from the upgrade, before the socket opens, until the socket is gone", async () => {
    const { made, share, handshake } = endpoint();
    const { peer } = await handshake({ id: "a" });
    expect([share.clients, node.sdk.getClientCount()]).toEqual([1, 0]);
    made.open(peer);
    expect([share.clients, node.sdk.getClientCount()]).toEqual([1, 1]);
    made.close(peer, 1000, "");
    expect([share.clients, node.sdk.getClientCount()]).toEqual([0, 0]);
  });

  test("is none when the handshake fails", async () => {
    const { share, handshake } = endpoint();
    expect((await handshake({ id: "a" }, false)).status).toBe(400);
    expect(share.clients).toBe(0);
  });
});

test("of two that were admitted for one name the second is closed, and the first stays; a proven one replaces itself", async () => {
  const { made, share, handshake } = endpoint();
  const [first, second] = [await handshake({ id: "a" }), await handshake({ id: "a" })];
  made.open(first.peer);
  made.open(second.peer);
  expect([first.closes, second.closes]).toEqual([[], [[1008, "this client id is in use"]]]);
  made.message(second.peer, '{"message_type":"ping"}');
  made.close(second.peer, 1008, "");
  expect([share.clients, node.hub.find("a")?.closed]).toEqual([1, false]);
  const proven = { id: "b", subject: "user b" };
  const [old, fresh] = [await handshake(proven), await handshake(proven)];
  made.open(old.peer);
  made.open(fresh.peer);
  expect([old.closes, fresh.closes]).toEqual([[[4000, "replaced"]], []]);
});

test("the server learns whom a token proves, and nothing of a client without one", async () => {
  const { known, handshake } = endpoint();
  await handshake({ id: "a" });
  await handshake({ id: "b", subject: "user b" }, false);
  expect(known).toEqual([]);
  await handshake({ id: "b", subject: "user b" });
  expect(known).toEqual(["frames/user b"]);
});

test("what still arrives from a connection that is being closed is not handled", async () => {
  const { made, handshake } = endpoint();
  const heard: unknown[] = [];
  node.sdk.on("client_message", ({ message }) => heard.push(message));
  const { peer } = await handshake({ id: "a" });
  made.open(peer);
  made.message(peer, '{"message_id":1,"message_type":"ping"}');
  node.sdk.disconnectClient("a");
  made.message(peer, '{"message_id":2,"message_type":"ping"}');
  expect(heard).toHaveLength(1);
  expect(node.metrics.render()).toContain("gohub_messages_total 1\n");
});
