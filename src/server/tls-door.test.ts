// Who comes through a TLS door, and what handlers know of them: the cases of the contract, with certificates that openssl made.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import type { TLSSocket } from "node:tls";
import { type TestCertificates, testCertificates, withOpenssl } from "../../test/support/certificates.ts";
import { ask, connectTls } from "../../test/support/tls-clients.ts";
import { openTlsListener, type TlsListener } from "../../test/support/tls-listener.ts";
import { until } from "../../test/support/until.ts";
import type { ListenerTls } from "./listener-door.ts";
import type { TlsClient } from "./tls-door-clients.ts";
import type { TlsTerms } from "./tls-door-terms.ts";

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

function opened(
  terms: Partial<TlsTerms> = {},
  more: Partial<ListenerTls> = {},
): TlsListener & { authority: TestCertificates["authority"] } {
  const { cert, key } = made.server;
  const given: TlsTerms = { cert, key, ca: made.authority.cert, clientCertificates: "required", ...terms };
  const listener = openTlsListener({ tls: { terms: () => given, maxConnections: 1000, ...more } });
  cleanup.push(() => listener.door.close(500));
  return { ...listener, authority: made.authority };
}

const asAlice = { path: "/mtls" };

describe("by client certificates", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "required, trusted: the handler knows the principal (%s)",
    async (maximumVersion) => {
      const answer = await ask(opened({ maximumVersion }), made.alice, asAlice);
      expect(answer).toMatchObject({ status: 200, version: maximumVersion, server: "first" });
      expect(JSON.parse(answer.text)).toEqual({ principal: "spiffe://example/alice" });
    },
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)("required, none: the handshake fails (%s)", (maximumVersion) =>
    expect(ask(opened({ maximumVersion }), undefined)).rejects.toThrow(),
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "required, the same names by another authority: the handshake fails (%s)",
    (maximumVersion) => expect(ask(opened({ maximumVersion }), made.falseAlice)).rejects.toThrow(),
  );

  test("optional, none: served, and a call that asks for one is refused", async () => {
    const target = opened({ clientCertificates: "optional" });
    const { status, text } = await ask(target, undefined);
    expect([status, JSON.parse(text).certificate]).toEqual([200, undefined]);
    expect(await ask(target, undefined, asAlice)).toMatchObject({ status: 401, text: '{"code":3000}' });
    expect(await ask(target, made.alice, asAlice)).toMatchObject({ status: 200 });
  });

  test("optional, the same names by another authority: no byte is read", () =>
    expect(ask(opened({ clientCertificates: "optional" }), made.falseAlice)).rejects.toThrow());

  test("none: nobody is asked, and what a client shows is not looked at", async () => {
    const target = opened({ clientCertificates: "none", ca: undefined });
    expect((await ask(target, undefined)).status).toBe(200);
    expect(JSON.parse((await ask(target, made.alice)).text).certificate).toBeUndefined();
  });

  test("over plain HTTP a call that asks for one is refused", async () => {
    const answer = await fetch(`http://127.0.0.1:${opened().plainPort}/mtls`);
    expect([answer.status, await answer.json()]).toEqual([401, { code: 3000 }]);
  });

  test("required, trusted but not among the names: refused", async () => {
    const target = opened({ allowed: { subjectCommonNames: ["alice"] } });
    expect(await ask(target, made.bob, asAlice)).toMatchObject({ status: 401, text: '{"code":3000}' });
    expect((await ask(target, made.alice, asAlice)).status).toBe(200);
  });

  test("one that was taken back is refused, others of the same authority are not", async () => {
    const crl = await made.certificates.revoked(made.authority, made.bob);
    const target = opened({ crl });
    await expect(ask(target, made.bob)).rejects.toThrow();
    expect((await ask(target, made.alice)).status).toBe(200);
  });

  test("one whose time is over is refused", async () => {
    const subject = "/CN=late";
    const late = await made.certificates.leaf(made.authority, { subject, days: -1 });
    await expect(ask(opened(), late)).rejects.toThrow();
  });

  test("each of several authorities is trusted", async () => {
    const target = opened({ ca: `${made.otherAuthority.cert}\n${made.authority.cert}` });
    expect((await ask(target, made.alice)).status).toBe(200);
    expect((await ask(target, made.falseAlice)).status).toBe(200);
  });

  test("a resumed session keeps its certificate", async () => {
    const target = opened({ maximumVersion: "TLSv1.2" });
    const first = await connectTls(target, made.alice);
    const session = first.getSession();
    first.destroy();
    const socket = await connectTls(target, made.alice, { session });
    expect(socket.isSessionReused()).toBe(true);
    socket.destroy();
    const answer = await ask(target, made.alice, { ...asAlice, options: { session } });
    expect(answer.status).toBe(200);
  });
});

test.skipIf(!withOpenssl.met)("a resumed session does not outlive its certificate", async () => {
  const target = opened({ maximumVersion: "TLSv1.2" });
  const end = Date.now() + 3_000;
  const brief = await made.certificates.leaf(made.authority, { subject: "/CN=brief", until: new Date(end) });
  const first = await connectTls(target, brief);
  const session = first.getSession();
  first.destroy();
  expect((await ask(target, brief, { options: { session } })).status).toBe(200);
  await until("its end", () => Date.now() > end + 1_000);
  await expect(ask(target, brief, { options: { session } })).rejects.toThrow();
});

describe("what handlers know", () => {
  test("the certificate, the real other end, and that it is secure", async () => {
    const target = opened();
    const socket = await connectTls(target, made.alice);
    const { localPort } = socket;
    socket.write("GET /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    const text = await Bun.readableStreamToText(readable(socket));
    const facts = JSON.parse(text.slice(text.indexOf("{")));
    expect(facts).toMatchObject({
      isSecure: true,
      client: "127.0.0.1",
      peer: { address: "127.0.0.1", port: localPort, localPort: target.port },
      certificate: {
        commonName: "alice",
        dnsNames: ["alice.example"],
        uris: ["spiffe://example/alice"],
        issuerCommonName: "test authority",
        isAllowed: true,
      },
    });
    const der = Buffer.from(made.alice.cert.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
    expect(facts.certificate.fingerprint).toBe(new Bun.CryptoHasher("sha256").update(der).digest("hex"));
    expect(facts.certificate.validUntil).toBeGreaterThan(Date.now());
  });

  test("a WebSocket's endpoint knows the same, each its own", async () => {
    const { port } = opened();
    const told = async ({ cert, key }: { cert: string; key: string }) => {
      const tls = { ca: made.authority.cert, cert, key };
      const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, { tls } as unknown as string[]);
      cleanup.push(() => socket.close());
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      socket.onopen = () => socket.send("who");
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.onerror = reject;
      return JSON.parse(await promise);
    };
    const [alice, bob] = await Promise.all([told(made.alice), told(made.bob)]);
    expect([alice.certificate.commonName, bob.certificate.commonName]).toEqual(["alice", "bob"]);
    expect(alice.peer.localPort).toBe(port);
  });

  test("two requests on one connection are the same client's", async () => {
    const socket = await connectTls(opened(), made.alice);
    cleanup.push(() => void socket.destroy());
    const one = "GET /mtls HTTP/1.1\r\nhost: localhost\r\n";
    socket.write(`${one}\r\n${one}connection: close\r\n\r\n`);
    const text = await Bun.readableStreamToText(readable(socket));
    expect(text.match(/spiffe:\/\/example\/alice/g)?.length).toBe(2);
  });
});

describe("by protocol", () => {
  test("who chose one that is taken elsewhere is handed over, with its certificate; everybody else is HTTP", async () => {
    const taken: TlsClient[] = [];
    const takes = (socket: TLSSocket, client: TlsClient) => {
      taken.push(client);
      socket.end("taken");
    };
    const target = opened({}, { protocols: new Map([["h2", takes]]) });
    const socket = await connectTls(target, made.alice, { ALPNProtocols: ["h2", "http/1.1"] });
    expect(socket.alpnProtocol).toBe("h2");
    expect(await Bun.readableStreamToText(readable(socket))).toBe("taken");
    expect(taken.map(({ certificate }) => certificate?.commonName)).toEqual(["alice"]);
    expect((await ask(target, made.alice, asAlice)).status).toBe(200);
    const without = { ...asAlice, options: { ALPNProtocols: undefined } };
    expect((await ask(target, made.alice, without)).status).toBe(200);
  });

  test("what nobody takes is not chosen", () =>
    expect(connectTls(opened(), made.alice, { ALPNProtocols: ["h2"] })).rejects.toThrow());
});

describe("versions and ciphers", () => {
  test("below the least version nobody comes in", async () => {
    const target = opened({ minimumVersion: "TLSv1.3" });
    await expect(ask(target, made.alice, { options: { maxVersion: "TLSv1.2" } })).rejects.toThrow();
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    await expect(ask(opened(), made.alice, { options: old })).rejects.toThrow();
    expect(await ask(target, made.alice)).toMatchObject({ version: "TLSv1.3" });
  });

  test("only ciphers of the list are taken", async () => {
    const ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const target = opened({ maximumVersion: "TLSv1.2", ciphers });
    const socket = await connectTls(target, made.alice);
    expect(socket.getCipher().name).toBe(ciphers);
    socket.destroy();
    const other = { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" };
    await expect(ask(target, made.alice, { options: other })).rejects.toThrow();
  });
});

describe("around the door", () => {
  test("who speaks no TLS gets no answer", async () => {
    const socket = connect(opened().port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await Bun.readableStreamToText(readable(socket))).not.toContain("HTTP/1.1 200");
  });

  test("a port that is taken is the system's own error, and nothing stays open", () => {
    const { port } = opened();
    const { cert, key } = made.server;
    const terms = (): TlsTerms => ({ cert, key, clientCertificates: "none" });
    let code: unknown;
    try {
      const second = openTlsListener({ tls: { terms, maxConnections: 1 }, port });
      cleanup.push(() => second.door.close(0));
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    expect(code).toBe("EADDRINUSE");
  });
});

function readable(socket: NodeJS.ReadableStream): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      let isOver = false;
      const finish = () => {
        if (isOver) return;
        isOver = true;
        controller.close();
      };
      socket.on("data", (piece: Buffer) => controller.enqueue(new Uint8Array(piece)));
      socket.once("end", finish);
      socket.once("close", finish);
      socket.once("error", finish);
    },
  });
}
