// A disk that takes half a second for each sync holds up what waits for it, and nobody else: while one sync is under way, requests and
// calls between two sockets are answered by the dozen, and the next writes are committed. Told by the order of answers, not by a clock.
import { expect } from "bun:test";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { powerTest } from "./power-loss/recording.ts";
import { startProcess } from "./server-process.ts";

const BOUND_MS = 90_000;
const SLOW_MS = 500;
const ASKED = 25;
/** Far more than a start and an account need, for each thread. */
const FAST = 20;

const { freshFolder, undo } = nothingLeftBehind("slow-sync");

async function scene(commit: "pipelined" | "blocking") {
  const dataDir = realpathSync(freshFolder());
  const server = await startProcess({
    dataDir,
    env: { ROOST_RATE_LIMITS: "false", ROOST_COMMIT: commit },
    wrapper: [
      "strace",
      ...["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-P", join(dataDir, "happy.db-wal")],
      ...["-e", "trace=fsync,fdatasync"],
      ...["-e", `inject=fsync,fdatasync:delay_exit=${SLOW_MS * 1_000}:when=${FAST}+`, "--"],
    ],
  });
  undo(() => server.end("SIGKILL"));
  const account = await newAccount(server.url);
  const [phone, cli] = [await account.connect(), await account.connect()];
  undo(() => {
    phone.close();
    cli.close();
  });
  cli.socket.on("rpc-request", (_request, acknowledge: (answer: string) => void) => acknowledge("yes"));
  const registered = new Promise((resolve) => cli.socket.once("rpc-registered", resolve));
  cli.socket.emit("rpc-register", { method: "echo" });
  await registered;
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid: string = body.session.id;
  let next = 0;
  const post = () =>
    account.call("POST", `/v3/sessions/${sid}/messages`, {
      messages: [{ content: "c", localId: `${next++}` }],
    });
  // Until each thread that syncs has had its fast ones.
  for (let slow = 0; slow < 4; ) {
    const began = performance.now();
    await post();
    slow = performance.now() - began >= SLOW_MS ? slow + 1 : 0;
  }
  return { account, phone, post };
}

/** How many of each kind were answered one after another before the write was acknowledged. */
async function answeredDuring(write: Promise<unknown>, account: Account, phone: Listener) {
  let isOver = false;
  const over = write.then(() => {
    isOver = true;
  });
  const answered = { health: 0, calls: 0 };
  while (!isOver && answered.calls < ASKED) {
    expect((await account.call("GET", "/health")).status).toBe(200);
    if (isOver) break;
    answered.health++;
    expect(await phone.ask("rpc-call", { method: "echo", params: "p" })).toMatchObject({ ok: true });
    if (!isOver) answered.calls++;
  }
  await over;
  return answered;
}

powerTest(
  "while the log is synced, requests and calls are answered, and what was written meanwhile shares the next sync",
  async () => {
    const { account, phone, post } = await scene("pipelined");
    expect(await answeredDuring(post(), account, phone)).toEqual({ health: ASKED, calls: ASKED });
    // Many that come one after another while a sync is under way are told together by the one after it: two or three syncs in all.
    const began = performance.now();
    const writes = Array.from({ length: 40 }, async (_, index) => {
      for (let turn = 0; turn < index; turn++) await new Promise((resolve) => setImmediate(resolve));
      return post();
    });
    expect((await Promise.all(writes)).map(({ status }) => status)).toEqual(Array(40).fill(200));
    expect(performance.now() - began).toBeLessThan(20 * SLOW_MS);

    // The instrument: the other way of committing, on the same disk.
    const blocking = await scene("blocking");
    const { health } = await answeredDuring(blocking.post(), blocking.account, blocking.phone);
    expect(health).toBeLessThan(ASKED);
  },
  BOUND_MS,
);
