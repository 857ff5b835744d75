// The RPC relay over the wire: who may register, whom a call reaches, how it ends, and that a daemon that reconnects costs nobody a
// call (realtime contract 9, decisions). Waits that are long in life are in rpc-timing.test.ts.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const open: Listener[] = [];
async function socketOf(account: Account, auth?: Record<string, unknown>): Promise<Listener> {
  const listener = await account.connect(auth);
  open.push(listener);
  return listener;
}
afterAll(() => {
  for (const listener of open) listener.close();
});

type Answering = (params: unknown, acknowledge: (...answer: unknown[]) => void) => void;

/** Registers the method on the socket and answers as told. */
async function serve(socket: Listener, method: string, answering: Answering): Promise<void> {
  socket.socket.on("rpc-request", (request: { method: string; params: unknown }, acknowledge: () => void) => {
    if (request.method === method) answering(request, acknowledge);
  });
  await register(socket, method);
}

async function register(socket: Listener, method: string): Promise<void> {
  const confirmed = new Promise<void>((resolve) => {
    const look = (told: { method: string }) => {
      if (told.method !== method) return;
      socket.socket.off("rpc-registered", look);
      resolve();
    };
    socket.socket.on("rpc-registered", look);
  });
  socket.socket.emit("rpc-register", { method });
  await confirmed;
}

const call = (caller: Listener, method: unknown, params?: unknown) =>
  caller.ask("rpc-call", params === undefined ? { method } : { method, params });

test("registering and unregistering are confirmed, however often and whoever asks", async () => {
  const account = await newAccount(server.url);
  for (const auth of [
    {},
    { clientType: "user-scoped" },
    { clientType: "session-scoped", sessionId: "s" },
    { clientType: "machine-scoped", machineId: "m" },
  ]) {
    const socket = await socketOf(account, auth);
    for (const event of ["register", "register", "unregister", "unregister"])
      socket.socket.emit(`rpc-${event}`, { method: "anybody's:name", ignored: true });
    await socket.settled();
    expect(socket.heard.filter(({ event }) => event.startsWith("rpc-"))).toEqual([
      { event: "rpc-registered", body: { method: "anybody's:name" } },
      { event: "rpc-registered", body: { method: "anybody's:name" } },
      { event: "rpc-unregistered", body: { method: "anybody's:name" } },
      { event: "rpc-unregistered", body: { method: "anybody's:name" } },
    ]);
  }
});

const NO_METHOD = [
  null,
  undefined,
  {},
  { method: "" },
  { method: 5 },
  { method: null },
  { method: ["m"] },
  { method: {} },
  "m",
  5,
  [],
];

test("a method that is no name is refused in the contract's words and hurts nobody", async () => {
  const socket = await socketOf(await newAccount(server.url));
  for (const payload of NO_METHOD) {
    for (const type of ["register", "unregister"]) {
      socket.heard.length = 0;
      if (payload === undefined) socket.socket.emit(`rpc-${type}`);
      else socket.socket.emit(`rpc-${type}`, payload);
      const { event, body } = {
        event: "rpc-error",
        body: await socket.until(({ event }) => event === "rpc-error"),
      };
      expect({ event, body }).toEqual({ event: "rpc-error", body: { type, error: "Invalid method name" } });
    }
    const asked = payload === undefined ? socket.ask("rpc-call") : socket.ask("rpc-call", payload);
    expect(await asked).toEqual({ ok: false, error: "Invalid parameters: method is required" });
  }
  // Without a callback there is nobody to tell.
  socket.socket.emit("rpc-call", { method: 5 });
  await socket.settled();
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("names and numbers of methods are bounded", async () => {
  const socket = await socketOf(await newAccount(server.url));
  socket.socket.emit("rpc-register", { method: "x".repeat(1_025) });
  expect(await socket.until(({ event }) => event === "rpc-error")).toEqual({
    type: "register",
    error: "Invalid method name",
  });
  socket.heard.length = 0;
  for (let number = 0; number <= 1_000; number++)
    socket.socket.emit("rpc-register", { method: `m${number}` });
  await socket.until(({ event }) => event === "rpc-error");
  expect(socket.heard.filter(({ event }) => event === "rpc-registered")).toHaveLength(1_000);
});

test("parameters and results pass as they are; the result's shape is nobody's business", async () => {
  const account = await newAccount(server.url);
  const [daemon, app] = [await socketOf(account), await socketOf(account)];
  const requests: unknown[] = [];
  let answer: unknown[] = [];
  await serve(daemon, "m:echo", (request, acknowledge) => {
    requests.push(request);
    acknowledge(...answer);
  });
  for (const [given, expected] of [
    [["result"], { ok: true, result: "result" }],
    [[], { ok: true }],
    [[null], { ok: true, result: null }],
    [[{ error: "mine" }], { ok: true, result: { error: "mine" } }],
    [["first", "second"], { ok: true, result: "first" }],
    [[{ deep: [1, { a: "é\u0000" }] }], { ok: true, result: { deep: [1, { a: "é\u0000" }] } }],
  ] as const) {
    answer = [...given];
    expect(await call(app, "m:echo", "p")).toEqual(expected);
  }
  requests.length = 0;
  for (const params of [undefined, null, "", 0, { a: [1] }]) await call(app, "m:echo", params);
  expect(requests).toEqual([
    { method: "m:echo" },
    { method: "m:echo", params: null },
    { method: "m:echo", params: "" },
    { method: "m:echo", params: 0 },
    { method: "m:echo", params: { a: [1] } },
  ]);
});

test("the newest registrant answers, the caller is skipped, and alone it is told so", async () => {
  const account = await newAccount(server.url);
  const [old, fresh, app] = [await socketOf(account), await socketOf(account), await socketOf(account)];
  await serve(old, "m:who", (_, acknowledge) => acknowledge("old"));
  expect(await call(old, "m:who")).toEqual({ ok: false, error: "Cannot call RPC on the same socket" });
  await serve(fresh, "m:who", (_, acknowledge) => acknowledge("fresh"));
  expect(await call(app, "m:who")).toEqual({ ok: true, result: "fresh" });
  expect(await call(fresh, "m:who")).toEqual({ ok: true, result: "old" });
  // Registering again does not make the old one newer: it never was away.
  await register(old, "m:who");
  expect(await call(app, "m:who")).toEqual({ ok: true, result: "fresh" });
  fresh.close();
  await app.settled();
  expect(await call(app, "m:who")).toEqual({ ok: true, result: "old" });
});

test("a call that nobody can answer yet is answered as soon as somebody registers", async () => {
  const account = await newAccount(server.url);
  const [app, daemon] = [await socketOf(account), await socketOf(account)];
  const early = [call(app, "m:late", 1), call(app, "m:late", 2)];
  await app.settled();
  await serve(daemon, "m:late", (request, acknowledge) => acknowledge(request));
  const begun = performance.now();
  expect(await Promise.all(early)).toEqual([
    { ok: true, result: { method: "m:late", params: 1 } },
    { ok: true, result: { method: "m:late", params: 2 } },
  ]);
  expect(performance.now() - begun).toBeLessThan(2_000);
});

test("calls in flight end at once when their target's socket closes", async () => {
  const account = await newAccount(server.url);
  const [app, daemon] = [await socketOf(account), await socketOf(account)];
  const received: unknown[] = [];
  const both = Promise.withResolvers<void>();
  await serve(daemon, "m:never", (request) => {
    if (received.push(request) === 2) both.resolve();
  });
  const calls = [call(app, "m:never"), call(app, "m:never")];
  await both.promise;
  const begun = performance.now();
  daemon.close();
  const gone = { ok: false, error: "RPC target disconnected" };
  expect(await Promise.all(calls)).toEqual([gone, gone]);
  expect(performance.now() - begun).toBeLessThan(1_000);
});

test("a target that unregisters but lives may still answer", async () => {
  const account = await newAccount(server.url);
  const [app, daemon] = [await socketOf(account), await socketOf(account)];
  let finish: ((answer: string) => void) | undefined;
  const asked = Promise.withResolvers<void>();
  await serve(daemon, "m:leaving", (_, acknowledge) => {
    finish = acknowledge;
    asked.resolve();
  });
  const calling = call(app, "m:leaving");
  await asked.promise;
  daemon.socket.emit("rpc-unregister", { method: "m:leaving" });
  await daemon.settled();
  finish?.("done all the same");
  expect(await calling).toEqual({ ok: true, result: "done all the same" });
});

test("many calls are in flight at once, each gets its own answer, and one that nobody awaits runs too", async () => {
  const account = await newAccount(server.url);
  const [app, daemon] = [await socketOf(account), await socketOf(account)];
  const waiting: (() => void)[] = [];
  const seen: unknown[] = [];
  await serve(daemon, "m:many", (request, acknowledge) => {
    const { params } = request as { params: unknown };
    seen.push(params);
    waiting.push(() => acknowledge(params));
    // Answered in the opposite order.
    if (waiting.length === 101) for (const answer of waiting.toReversed()) answer();
  });
  app.socket.emit("rpc-call", { method: "m:many", params: "nobody awaits me" });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, number) => call(app, "m:many", number)));
  expect(answers).toEqual(Array.from({ length: 100 }, (_, number) => ({ ok: true, result: number })));
  expect(seen).toContain("nobody awaits me");
});

test("a caller that leaves before its answer disturbs nobody", async () => {
  const account = await newAccount(server.url);
  const [app, other, daemon] = [await socketOf(account), await socketOf(account), await socketOf(account)];
  const answers: (() => void)[] = [];
  const asked = Promise.withResolvers<void>();
  await serve(daemon, "m:left", (_, acknowledge) => {
    answers.push(() => acknowledge("late"));
    asked.resolve();
  });
  call(app, "m:left").catch(() => {});
  await asked.promise;
  app.close();
  await other.settled();
  for (const answer of answers) answer();
  await serve(daemon, "m:next", (_, acknowledge) => acknowledge("fine"));
  expect(await call(other, "m:next")).toEqual({ ok: true, result: "fine" });
});

test("accounts do not see each other's methods", async () => {
  const [mine, theirs] = [await newAccount(server.url), await newAccount(server.url)];
  const [daemon, intruder, app] = [await socketOf(mine), await socketOf(theirs), await socketOf(mine)];
  const heard: unknown[] = [];
  await serve(daemon, "m:secret", (request, acknowledge) => {
    heard.push(request);
    acknowledge("for me");
  });
  intruder.ask("rpc-call", { method: "m:secret" }).catch(() => {});
  await intruder.settled();
  await daemon.settled();
  expect(heard).toEqual([]);
  await serve(intruder, "m:secret", (_, acknowledge) => acknowledge("stolen"));
  expect(await call(app, "m:secret")).toEqual({ ok: true, result: "for me" });
});

test("five reconnects of a daemon under five callers at 200 ms: only what was in the daemon's hands can fail", async () => {
  const RECONNECTS = 5;
  /** A busy machine may read a call before the end of the connection that came before it. */
  const NOTICED_MS = 200;
  const account = await newAccount(server.url);
  const callers = await Promise.all([1, 2, 3, 4, 5].map(() => socketOf(account)));
  const drops: { at: number; backAt: number }[] = [];
  const begin = async () => {
    const daemon = await account.connect({ clientType: "machine-scoped", machineId: "m" });
    await serve(daemon, "m:work", (request, acknowledge) => acknowledge(request));
    return daemon;
  };
  let over = false;
  const calls: { began: number; ended: number; answer: { ok: boolean; error?: string } }[] = [];
  const calling = callers.map(async (caller) => {
    const running: Promise<void>[] = [];
    while (!over) {
      const began = performance.now();
      running.push(
        call(caller, "m:work", began).then((answer) => {
          calls.push({ began, ended: performance.now(), answer });
        }),
      );
      await Bun.sleep(200);
    }
    await Promise.all(running);
  });
  let daemon = await begin();
  for (let number = 0; number < RECONNECTS; number++) {
    // Long enough for every caller to call while it is there, and while it is away.
    await Bun.sleep(450);
    const at = performance.now();
    if (number % 2 === 0) {
      daemon.socket.io.engine.close();
      await Bun.sleep(700);
      daemon = await begin();
    } else {
      // The new socket comes before the old one is noticed to be dead.
      const next = await begin();
      daemon.close();
      daemon = next;
    }
    drops.push({ at, backAt: performance.now() });
  }
  await Bun.sleep(250);
  over = true;
  await Promise.all(calling);
  daemon.close();

  const failed = calls.filter(({ answer }) => !answer.ok);
  const inItsHands = ({ began, ended }: { began: number; ended: number }) =>
    drops.some(({ at, backAt }) => began <= at + NOTICED_MS && ended >= at && ended <= backAt);
  expect(failed.filter((one) => !inItsHands(one))).toEqual([]);
  expect(new Set(failed.map(({ answer }) => answer.error))).toEqual(
    new Set(failed.length > 0 ? ["RPC target disconnected"] : []),
  );
  const whileAway = calls.filter(({ began }) =>
    drops.some(({ at, backAt }) => began > at + NOTICED_MS && began < backAt),
  );
  expect(whileAway.length).toBeGreaterThan(10);
  expect(whileAway.filter(({ answer }) => !answer.ok)).toEqual([]);
  expect(calls.length).toBeGreaterThan(5 * RECONNECTS * 3);
}, 30_000);
