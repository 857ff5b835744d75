// The heaviest that sockets may send, and readers that take nothing: all of it together keeps within the memory for all.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { type Listener, newAccount } from "../../support/happy-client.ts";
import { frame, RawConnection } from "../raw-connection.ts";

const MIB = 1024 * 1024;
const VALUE = "x".repeat(8 * MIB);
const BOUND_MS = 60_000;

let server: AttackedServer;
beforeAll(async () => {
  server = await attackedServer();
}, 30_000);
afterAll(() => server.stop());

test(
  "eight sockets that write a state of 8 MiB each, again and again",
  async () => {
    const account = await newAccount(server.url);
    const sids = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const { body } = await account.call("POST", "/v1/sessions", { tag: `t${index}`, metadata: "m" });
        return body.session.id as string;
      }),
    );
    const agents = await Promise.all(
      sids.map((sid) => account.connect({ clientType: "session-scoped", sessionId: sid })),
    );
    const verdict = await server.during("large states", async () => {
      await Promise.all(
        agents.map(async (agent, index) => {
          for (let version = 0; version < 3; version++) {
            const update = { sid: sids[index], agentState: VALUE, expectedVersion: version };
            expect(await agent.ask("update-state", update)).toMatchObject({ result: "success" });
          }
        }),
      );
    });
    expect(verdict.peakMib).toBeLessThan(500);
    for (const agent of agents) agent.close();
  },
  BOUND_MS,
);

test(
  "twenty readers that take nothing hold no more together than one memory ceiling",
  async () => {
    const account = await newAccount(server.url);
    const { body } = await account.call("POST", "/v1/sessions", { tag: "q", metadata: "m" });
    const readers: RawConnection[] = [];
    for (let index = 0; index < 20; index++) {
      const reader = await RawConnection.webSocket(server.port);
      reader.write(frame(`40{"token":"${account.token}","clientType":"user-scoped"}`));
      await reader.until((received) => received.includes('40{"sid"'), BOUND_MS);
      reader.stopReading();
      readers.push(reader);
    }
    const sender = await account.connect({ clientType: "session-scoped", sessionId: body.session.id });
    let most = 0;
    const verdict = await server.during("readers that take nothing", async () => {
      const content = "x".repeat(MIB);
      for (let index = 0; index < 30; index++) {
        sender.socket.emit("message", { sid: body.session.id, message: content, localId: `q${index}` });
        await sender.settled();
        most = Math.max(most, await server.metric("roost_socket_queued_bytes"));
      }
    });
    console.error(`readers that take nothing: at most ${Math.round(most / MIB)} MiB queued`);
    expect(most).toBeLessThan(192 * MIB + 32 * MIB);
    expect(most).toBeGreaterThan(64 * MIB);
    expect(verdict.peakMib).toBeLessThan(500);
    for (const reader of readers) reader.destroy();
    sender.close();
  },
  BOUND_MS,
);

test(
  "a thousand calls that wait with a megabyte each are bounded by bytes",
  async () => {
    const account = await newAccount(server.url);
    const callers: Listener[] = await Promise.all(Array.from({ length: 4 }, () => account.connect()));
    const params = "x".repeat(900_000);
    const refused: string[] = [];
    const verdict = await server.during("waiting calls", async () => {
      const calls = callers.flatMap((caller) =>
        Array.from({ length: 75 }, () => caller.ask("rpc-call", { method: "nobody", params })),
      );
      for (const answer of await Promise.all(calls)) refused.push(answer.error);
    });
    expect(refused.filter((error) => error === "Too many calls in flight").length).toBeGreaterThan(200);
    expect(verdict.peakMib).toBeLessThan(500);
    for (const caller of callers) caller.close();
  },
  BOUND_MS,
);
