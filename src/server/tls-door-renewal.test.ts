// Terms of a TLS door change while it runs: newcomers have the new ones, the port and whoever is connected stay.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import {
  type Pair,
  type TestCertificates,
  testCertificates,
  withOpenssl,
} from "../../test/support/certificates.ts";
import { ask, connectTls } from "../../test/support/tls-clients.ts";
import { openTlsListener, type TlsListener } from "../../test/support/tls-listener.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { readTlsTerms, type TlsFiles } from "./tls-door-terms.ts";

const { describe } = withOpenssl;
let made: TestCertificates;
beforeAll(async () => {
  if (withOpenssl.met) made = await testCertificates();
});
afterAll(() => made?.certificates[Symbol.dispose]());

const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

interface Opened extends TlsListener {
  readonly authority: Pair;
  readonly files: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly log: string[];
  put(server: Pair, authority: Pair): void;
}

/** With its terms in files, which are looked at when `follows`. */
function opened({ follows = false, ...more }: Partial<TlsFiles> & { follows?: boolean } = {}): Opened {
  const folder = mkdtempSync(join(tmpdir(), "terms-"));
  const files = { cert: join(folder, "cert"), key: join(folder, "key"), ca: join(folder, "ca") };
  const put = (server: Pair, authority: Pair) => {
    copyFileSync(server.paths.cert, files.cert);
    copyFileSync(server.paths.key, files.key);
    copyFileSync(authority.paths.cert, files.ca);
  };
  put(made.server, made.authority);
  const lines: string[] = [];
  const out = new Writable({
    write: (line, _encoding, done) => {
      lines.push(String(line));
      done();
    },
  });
  const listener = openTlsListener({
    tls: {
      terms: () => readTlsTerms({ ...files, clientCertificates: "required", ...more }),
      maxConnections: 1000,
      ...(follows ? { files: Object.values(files) } : {}),
    },
    log: createLog("info", out),
  });
  cleanup.push(async () => {
    await listener.door.close(500);
    rmSync(folder, { recursive: true });
  });
  return { ...listener, authority: made.authority, files, log: lines, put };
}

async function socketOf({ port }: Opened, { cert, key }: Pair): Promise<WebSocket> {
  const tls = { ca: made.authority.cert, cert, key };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, { tls } as unknown as string[]);
  cleanup.push(() => socket.close());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => resolve();
  socket.onerror = reject;
  await promise;
  return socket;
}

async function echoed(socket: WebSocket, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.onmessage = ({ data }) => resolve(String(data));
  socket.onclose = () => reject(new Error("closed"));
  socket.send(text);
  return await promise;
}

describe("a renewed certificate of the server", () => {
  test("is shown to newcomers; WebSockets that are open go on, on the same port", async () => {
    const target = opened();
    const sockets = await Promise.all(Array.from({ length: 20 }, () => socketOf(target, made.alice)));
    target.put(made.renewedServer, made.authority);
    target.door.renewTerms();
    expect((await ask(target, made.alice)).server).toBe("renewed");
    const texts = sockets.map((_, index) => `still ${index}`);
    const answers = await Promise.all(sockets.map((socket, index) => echoed(socket, texts[index] ?? "")));
    expect(answers).toEqual(texts);
    expect(target.peers.size).toBe(20);
  });

  test("keeps versions and ciphers as they were", async () => {
    const ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const target = opened({ maximumVersion: "TLSv1.2", ciphers });
    target.put(made.renewedServer, made.authority);
    target.door.renewTerms();
    expect(await ask(target, made.alice)).toMatchObject({ server: "renewed", version: "TLSv1.2" });
    const other = { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" };
    await expect(ask(target, made.alice, { options: other })).rejects.toThrow();
  });

  test("is found in its files", async () => {
    const target = opened({ follows: true });
    expect((await ask(target, made.alice)).server).toBe("first");
    target.put(made.renewedServer, made.authority);
    await until("the new certificate", async () => (await ask(target, made.alice)).server === "renewed");
  });

  test("cuts nobody who is connecting meanwhile", async () => {
    const target = opened();
    let isOver = false;
    const servers = new Set<string | undefined>();
    const coming = Array.from({ length: 8 }, async () => {
      while (!isOver) servers.add((await ask(target, made.alice)).server);
    });
    for (let round = 0; round < 20; round++) {
      target.put(round % 2 === 0 ? made.renewedServer : made.server, made.authority);
      target.door.renewTerms();
      await ask(target, made.bob);
    }
    isOver = true;
    await Promise.all(coming);
    expect([...servers].sort()).toEqual(["first", "renewed"]);
  });

  test("that does not fit its key changes nothing, and the log says so without the key", async () => {
    const target = opened();
    copyFileSync(made.renewedServer.paths.cert, target.files.cert);
    target.door.renewTerms();
    expect((await ask(target, made.alice)).server).toBe("first");
    writeFileSync(target.files.cert, "half of a certific");
    target.door.renewTerms();
    expect((await ask(target, made.alice)).server).toBe("first");
    const problems = target.log.map((line) => JSON.parse(line).problem).filter(Boolean);
    expect(problems).toEqual([
      "The private key does not belong to the certificate.",
      "There is no usable certificate in PEM form.",
    ]);
    expect(target.log.join("")).not.toContain("PRIVATE KEY");
    target.put(made.renewedServer, made.authority);
    target.door.renewTerms();
    expect((await ask(target, made.alice)).server).toBe("renewed");
  });
});

test.skipIf(!withOpenssl.met)(
  "another authority of clients: its clients come in, those of before do not, not even with a session; who is there stays",
  async () => {
    const target = opened();
    const socket = await socketOf(target, made.alice);
    const before = await connectTls(target, made.alice, { maxVersion: "TLSv1.2" });
    const session = before.getSession();
    before.destroy();
    target.put(made.server, made.otherAuthority);
    target.door.renewTerms();
    await expect(ask(target, made.alice)).rejects.toThrow();
    const resuming = { options: { session, maxVersion: "TLSv1.2" } } as const;
    await expect(ask(target, made.alice, resuming)).rejects.toThrow();
    expect((await ask(target, made.falseAlice)).status).toBe(200);
    expect(await echoed(socket, "still here")).toBe("still here");
  },
);
