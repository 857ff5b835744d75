// The RPC room at its own TLS port, as a whole server: who is let in by which certificate (contract 18.5), what is known of it through
// keep-alive, resumption and renewal, and what the audit says (V56).
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { startServer } from "../src/context.ts";
import { createLog } from "../src/observability/log.ts";
import { type Pair, type TestCertificates, testCertificates, withOpenssl } from "./support/certificates.ts";
import { freePort } from "./support/free-port.ts";
import { onLinux } from "./support/needs.ts";
import { KEY, rpcHome, type Served, served, sha256, stopServers } from "./support/rpc-server.ts";
import { TlsRpcClient } from "./support/rpc-tls-client.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const { describe, test } = withOpenssl;
let made: TestCertificates;
beforeAll(async () => {
  if (withOpenssl.met) made = await testCertificates();
});
const cleanup: (() => unknown)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0).reverse()) step();
});
afterAll(async () => {
  await stopServers();
  made?.certificates[Symbol.dispose]();
});

const mtls = (more: object = {}) => ({ metadata: { timestamp_ms: 1, auth: { scheme: "mtls" }, ...more } });

interface Room extends Served {
  readonly tlsPort: number;
  /** On a connection of its own. @throws Error when the handshake, or the connection, fails. */
  client(pair?: Pair, options?: ConnectionOptions): Promise<TlsRpcClient>;
  /** Lines of the audit so far. */
  // biome-ignore lint/suspicious/noExplicitAny: looked at field by field.
  audited(): any[];
}

/** `tls`: of `security.tls`, beside the certificate of the server and the authority of clients. */
async function room(tls: Record<string, unknown>, security: Record<string, unknown> = {}, rpcTls = {}) {
  const port = freePort();
  const { cert: server_cert_path, key: server_key_path } = made.server.paths;
  const isAsked = tls.client_cert_verification !== undefined;
  const own = {
    server_cert_path,
    server_key_path,
    ...(isAsked && { ca_cert_path: made.authority.paths.cert }),
  };
  const server = await served(
    { rpc: { tls: { port, ...rpcTls } }, security: { ...security, tls: { ...own, ...tls } } },
    { metricsToken: "figures" },
  );
  const opened: Room = {
    ...server,
    tlsPort: port,
    client: async (pair, options) => {
      const client = await TlsRpcClient.open({ port, authority: made.authority }, pair, options);
      cleanup.push(() => client.close());
      return client;
    },
    audited: () => {
      const path = join(server.dataDir, "rpc-audit.jsonl");
      const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
      return lines.filter(Boolean).map((line) => JSON.parse(line));
    },
  };
  return opened;
}

const required = { client_cert_verification: "required" };
const optional = { client_cert_verification: "optional" };
const ALICE = { id: "spiffe://example/alice", type: "service", verified: true, auth_scheme: "mtls" };

/** What a handler is told of whoever calls. */
async function whoAmI(client: TlsRpcClient, more: object = {}) {
  const { status, body } = await client.call("DemoService/WhoAmI", null, more);
  return { status, principal: body.result?.principal, peer: body.result?.peer, code: body.error?.code };
}

/** Of a client whose certificate, or the lack of one, ends the handshake: with TLS 1.3 it learns that at its first read. */
const handshakeFails = (target: Room, pair: Pair | undefined, options?: ConnectionOptions) =>
  expect(target.client(pair, options).then((client) => client.call("EchoService/Echo"))).rejects.toThrow();

describe("by the matrix of certificates", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "1: required, trusted: the principal is the certificate's (%s)",
    async (maximum_version) => {
      const target = await room({ ...required, maximum_version });
      const client = await target.client(made.alice);
      expect(client.socket.getProtocol()).toBe(maximum_version);
      expect(await whoAmI(client)).toMatchObject({ status: 200, principal: ALICE });
      expect(await whoAmI(client, mtls())).toMatchObject({ status: 200, principal: ALICE });
      expect(await whoAmI(await target.client(made.bob))).toMatchObject({
        principal: { id: "bob.example" },
        peer: { common_name: "bob", issuer: "test authority" },
      });
    },
  );

  test("1: on every way of calling", async () => {
    const client = await (await room({ ...required }, { require_auth: true })).client(made.alice);
    const method = "rpc.v2/DemoService/WhoAmI";
    const called = await client.post("", { jsonrpc: "2.0", id: 1, method, params: {} });
    expect(JSON.stringify(called.body)).toContain(ALICE.id);
    const task = { target_method: "rpc.v2/EchoService/Echo", params: {} };
    expect(await client.post("/v2/TaskService/Submit", task)).toMatchObject({ status: 200 });
    expect(await client.get("/v2/methods")).toMatchObject({ status: 200 });
    const frames = await client.stream("StreamService/Count", { n: 2 });
    await until("the end", () => frames().at(-1)?.type === "end");
  });

  test("2 and 3: required, none or of another authority: the handshake fails", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const target = await room({ ...required, maximum_version: maxVersion });
      await handshakeFails(target, undefined);
      await handshakeFails(target, made.falseAlice);
      expect(target.audited()).toEqual([]);
    }
  });

  test("4 and 5: optional, none: served, and refused where the scheme asks for one", async () => {
    const target = await room(optional);
    const client = await target.client();
    expect(await whoAmI(client)).toMatchObject({ status: 200, peer: null, principal: { verified: false } });
    expect(await whoAmI(client, mtls())).toMatchObject({ status: 401, code: 3000 });
    // Who shows one is known by it all the same, and who shows a stranger's is not heard.
    expect(await whoAmI(await target.client(made.alice))).toMatchObject({ principal: ALICE });
    await handshakeFails(target, made.falseAlice);
  });

  test("6: plain HTTP, beside the TLS port: the scheme is refused", async () => {
    const { call } = await room(required);
    expect((await call("EchoService/Echo", null, mtls())).status).toBe(401);
    expect((await call("EchoService/Echo", null, mtls())).body.error.code).toBe(3000);
    expect((await call("EchoService/Echo")).status).toBe(200);
  });

  test.each([
    ["subject", { allowed_subject_cns: ["alice"] }],
    ["alternative name", { allowed_san_dns: ["alice.example"] }],
  ])("7: required, trusted but not in the list (%s): refused, health as well", async (_name, list) => {
    const target = await room({ ...required, ...list });
    expect(await whoAmI(await target.client(made.alice))).toMatchObject({ principal: ALICE });
    const bob = await target.client(made.bob);
    for (const method of ["DemoService/WhoAmI", "NopeService/Run", "HealthService/Check"]) {
      const { status, body } = await bob.call(method);
      expect([status, body.error.code]).toEqual([401, 3000]);
    }
    const call = { id: "1", method: "rpc.v2/StreamService/Count", data: { n: 1 } };
    const stream = await bob.post("/v2/rpc/stream", call);
    expect([stream.status, stream.body.error.code]).toEqual([401, 3000]);
    const [params, jsonrpc] = [{}, { jsonrpc: "2.0", id: 1, method: "rpc.v2/EchoService/Echo" }];
    expect(JSON.stringify((await bob.post("", { ...jsonrpc, params })).body)).toContain("3000");
    expect((await bob.get("/v2/methods")).status).toBe(401);
    // Nothing else that is presented lets it in.
    const { status } = await bob.call("EchoService/Echo", null, mtls());
    expect(status).toBe(401);
    await until("the audit", () => target.audited().some((event) => event.event_type === "auth_failed"));
    expect(target.audited().find((event) => event.event_type === "auth_failed")).toMatchObject({
      principal: "anonymous",
      verified: false,
      error_code: 3000,
      peer_certificate: { common_name: "bob", accepted: false },
    });
  });

  test("optional, trusted but not in the list: no identity", async () => {
    const target = await room({ ...optional, allowed_issuer_cns: ["another"] });
    const client = await target.client(made.alice);
    expect(await whoAmI(client)).toMatchObject({ status: 200, principal: { verified: false }, peer: null });
    expect(await whoAmI(client, mtls())).toMatchObject({ status: 401, code: 3000 });
  });

  test("roles that the certificate's name has count (RBAC)", async () => {
    const principal = { order: ["cn"], type: "robot", role_map: { "al*": ["reader"] } };
    const roles = [{ name: "reader", permissions: [{ resource: "docs", action: "write" }] }];
    const target = await room({ ...required, principal }, { rbac_enabled: true, roles });
    const alice = await target.client(made.alice);
    expect((await alice.call("DocsService/Write")).body.result).toEqual({ written: true });
    const refused = await (await target.client(made.bob)).call("DocsService/Write");
    expect([refused.status, refused.body.error.code]).toEqual([403, 3011]);
  });

  test.each([
    ["token", "robot"],
    ["cert", ALICE.id],
    ["reject", 3001],
  ])("beside a key, with on_conflict %s", async (on_conflict, expected) => {
    const api_keys = [{ sha256: sha256(KEY), principal: "robot" }];
    const client = await (await room({ ...required, on_conflict }, { api_keys })).client(made.alice);
    const { body } = await client.call("DemoService/WhoAmI", null, {}, { "x-api-key": KEY });
    expect(body.error?.code ?? body.result.principal.id).toBe(expected);
  });
});

describe("at the plain port", () => {
  test("nothing but health is answered where TLS is required", async () => {
    const { call, post, url } = await room({ ...required, required_for_rpc: true });
    for (const refused of [
      await call("EchoService/Echo"),
      await call("EchoService/Echo", null, {}, { "x-api-key": KEY }),
      await post("/v2/TaskService/Query", { task_id: "t" }),
      await post("/v2/rpc/stream", { id: "1", method: "rpc.v2/StreamService/Count", data: { n: 1 } }),
    ])
      expect([refused.status, refused.body.error.code]).toEqual([401, 3000]);
    expect((await fetch(`${url}/aduib_rpc/v2/methods`)).status).toBe(401);
    expect((await call("HealthService/Check")).status).toBe(200);
    expect((await post("/v2/HealthService/Check", {})).status).toBe(200);
  });

  test("a proxy's word counts from its address only, and its own certificate never for others", async () => {
    const hash = "ab".repeat(32);
    const header = `Hash=${hash};Subject="CN=carol,O=Example";URI=spiffe://example/carol`;
    const word = { "x-client-cert": header };
    const proxy = (address: string) => ({
      trusted_proxy: { addresses: [address], header: "X-Client-Cert" },
      required_for_rpc: true,
      ...optional,
    });
    const trusting = await room(proxy("127.0.0.1"));
    const known = await trusting.call("DemoService/WhoAmI", null, mtls(), word);
    expect(known.body.result).toMatchObject({
      principal: { ...ALICE, id: "spiffe://example/carol" },
      peer: { common_name: "carol", fingerprint: hash.slice(0, 16) },
    });
    for (const bad of [{}, { "x-client-cert": `${header},${header}` }, { "x-client-cert": "CN=carol" }])
      expect((await trusting.call("EchoService/Echo", null, {}, bad as never)).status).toBe(401);
    // The proxy may speak TLS with a certificate of its own.
    const alice = await trusting.client(made.alice);
    expect(await whoAmI(alice)).toMatchObject({ principal: { verified: false }, peer: null });
    const { body } = await alice.call("DemoService/WhoAmI", null, {}, word);
    expect(body.result.principal.id).toBe("spiffe://example/carol");

    const other = await room(proxy("192.0.2.1"));
    expect((await other.call("EchoService/Echo", null, {}, word)).status).toBe(401);
    expect((await other.call("EchoService/Echo", null, mtls(), word)).status).toBe(401);
    expect(await whoAmI(await other.client(made.alice))).toMatchObject({ principal: ALICE });
    const faking = await (await other.client()).call("DemoService/WhoAmI", null, mtls(), word);
    expect(faking.status).toBe(401);
  });
});

describe("on one connection", () => {
  test("keep-alive: each call has the certificate of its own connection", async () => {
    const target = await room(optional);
    const clients = await Promise.all([made.alice, made.bob, undefined].map((pair) => target.client(pair)));
    for (let round = 0; round < 5; round++) {
      const ids = await Promise.all(clients.map(async (client) => (await whoAmI(client)).principal.id));
      expect(ids).toEqual([ALICE.id, "bob.example", "anonymous"]);
    }
  });

  test("a resumed session has the certificate that it began with", async () => {
    const target = await room({ ...required, maximum_version: "TLSv1.2" });
    const first = await target.client(made.alice);
    expect(await whoAmI(first)).toMatchObject({ principal: ALICE });
    const session = first.socket.getSession();
    first.close();
    const again = await target.client(made.alice, { session });
    expect(again.socket.isSessionReused()).toBe(true);
    expect(await whoAmI(again, mtls())).toMatchObject({ status: 200, principal: ALICE });
  });

  test("the proof does not outlive the certificate", async () => {
    const until_ = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 4_000);
    const brief = await made.certificates.leaf(made.authority, { subject: "/CN=brief", until: until_ });
    const target = await room(optional);
    const client = await target.client(brief);
    expect(await whoAmI(client, mtls())).toMatchObject({ status: 200, principal: { id: "brief" } });
    await until("its end", async () => (await whoAmI(client, mtls())).code === 3000);
    expect(await whoAmI(client)).toMatchObject({ status: 200, principal: { verified: false } });
  });
});

/** The server's pair and the authority of clients, in files that a test may replace. */
function replaceable() {
  const folder = mkdtempSync(join(tmpdir(), "roost-rpc-tls-"));
  cleanup.push(() => rmSync(folder, { recursive: true }));
  const [server_cert_path, server_key_path, ca_cert_path] = ["crt", "key", "ca"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const put = (server: Pair, authority: Pair) => {
    copyFileSync(server.paths.key, server_key_path);
    copyFileSync(server.paths.cert, server_cert_path);
    copyFileSync(authority.paths.cert, ca_cert_path);
  };
  put(made.server, made.authority);
  return { put, paths: { server_cert_path, server_key_path, ca_cert_path } };
}

describe("a renewal", () => {
  test("is found in the files; the port, calls under way and streams stay, and know who called", async () => {
    const { put, paths } = replaceable();
    const target = await room({ ...required, ...paths });
    const streaming = await target.client(made.alice);
    const frames = await streaming.stream("StreamService/Count", { n: 100_000, delay_ms: 20 });
    const staying = await target.client(made.alice);
    const sleeping = await target.client(made.bob);
    await until("frames", () => frames().length > 2);
    const slept = sleeping.call("DemoService/Sleep", { ms: 3_000 });
    put(made.renewedServer, made.otherAuthority);
    const shown = async () => {
      const client = await target.client(made.falseAlice);
      // With TLS 1.3 the server may still refuse the client.
      const { principal } = await whoAmI(client);
      return [String(client.socket.getPeerCertificate().subject.CN), principal.id];
    };
    await until("the new certificate", () =>
      shown().then(
        ([server]) => server === "renewed",
        () => false,
      ),
    );
    // Newcomers by the new authority, and nobody by the old one.
    expect(await shown()).toEqual(["renewed", ALICE.id]);
    await handshakeFails(target, made.alice);
    expect(await whoAmI(staying, mtls())).toMatchObject({ status: 200, principal: ALICE });
    expect((await slept).body.result).toEqual({ slept: 3_000 });
    const before = frames().length;
    await until("more frames", () => frames().length > before + 5);
    const sequences = frames().map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, index) => sequences[0] + index));
    expect(streaming.isOver).toBe(false);
  });

  test("that cannot hold changes nothing, and is said without a key", async () => {
    const { paths } = replaceable();
    const target = await room({ ...required, ...paths });
    copyFileSync(made.renewedServer.paths.cert, paths.server_cert_path);
    await until("the word of it", () => target.logged.some((line) => line.includes("stay as they were")));
    expect(target.logged.join("")).not.toContain("PRIVATE KEY");
    expect(await whoAmI(await target.client(made.alice))).toMatchObject({ principal: ALICE });
  });
});

describe("the audit of certificates", () => {
  test("tells them apart, and neither it nor the log holds one (V56)", async () => {
    const target = await room(required);
    const client = await target.client(made.alice);
    const whole = new X509Certificate(made.alice.cert).fingerprint256.replaceAll(":", "").toLowerCase();
    const { peer } = await whoAmI(client);
    await until("the audit", () => target.audited().length >= 2);
    const [event] = target.audited();
    expect(event).toMatchObject({
      event_type: "rpc_request",
      principal: ALICE.id,
      verified: true,
      auth_scheme: "mtls",
      remote_address: "127.0.0.1",
      peer_certificate: {
        common_name: "alice",
        issuer: "test authority",
        san_dns: ["alice.example"],
        san_uri: ["spiffe://example/alice"],
        fingerprint: whole.slice(0, 16),
        accepted: true,
      },
    });
    expect(event.peer_certificate.serial).toMatch(/^[0-9a-f]{1,8}$/);
    expect(peer.fingerprint).toBe(whole.slice(0, 16));
    const kept = readdirSync(target.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
    for (const text of [...target.logged, ...kept]) {
      expect(text).not.toContain("BEGIN CERTIFICATE");
      expect(text).not.toContain("PRIVATE KEY");
      expect(text.toLowerCase()).not.toContain(whole);
    }
  });
});

describe("bounds and starts", () => {
  test("no more connections than may be", async () => {
    const target = await room(optional, {}, { max_connections: 2 });
    const clients = [await target.client(made.alice), await target.client(made.bob)];
    for (const client of clients) expect((await whoAmI(client)).status).toBe(200);
    await handshakeFails(target, made.alice);
    clients[0]?.close();
    await until("a place", () =>
      target.client(made.alice).then(
        async (client) => (await whoAmI(client)).status === 200,
        () => false,
      ),
    );
  });

  test("terms that cannot hold end the start with a sentence, and no port is open", async () => {
    for (const [tls, sentence] of [
      [{ server_key_path: made.bob.paths.key }, "security.tls: The private key does not belong"],
      [{ server_cert_path: "/nowhere.crt" }, "security.tls: The file /nowhere.crt is not there."],
      [{ minimum_version: "TLSv1.3", maximum_version: "TLSv1.2" }, "security.tls: No version of TLS"],
      [
        { ...required, ca_cert_path: made.bob.paths.key },
        "security.tls: The authorities hold no certificate",
      ],
      [{ allowed_subject_cns: ["alice"] }, "security.tls: Client certificates are not asked for, but"],
    ] as const)
      await expect(room(tls)).rejects.toThrow(sentence);
  });

  test("a port that somebody has is named", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    cleanup.push(() => taken.stop(true));
    await expect(room(required, {}, { port: taken.port })).rejects.toThrow(
      `Port ${taken.port} is already in use. Stop the other program, or choose another port.`,
    );
  });

  test("what authorities revoked stays out", async () => {
    const crl_path = join(made.certificates.folder, "revoked.pem");
    writeFileSync(crl_path, await made.certificates.revoked(made.authority, made.bob));
    const target = await room({ ...required, crl_path });
    await handshakeFails(target, made.bob);
    expect(await whoAmI(await target.client(made.alice))).toMatchObject({ principal: ALICE });
  });

  test("a server that stops ends its streams with a word, and the port", async () => {
    const port = freePort();
    const { server, authority, alice } = made;
    const tls = { ...required, server_cert: server.cert, server_key: server.key, ca_cert: authority.cert };
    const { config, protocols, remove } = rpcHome({ rpc: { tls: { port } }, security: { tls } }, {}, []);
    cleanup.push(remove);
    const running = await startServer(config, createLog("silent"), protocols);
    const client = await TlsRpcClient.open({ port, authority }, alice);
    const frames = await client.stream("StreamService/Count", { n: 100_000, delay_ms: 20 });
    await until("frames", () => frames().length > 2);
    await running.stop();
    await until("the end", () => client.isOver);
    expect(frames().slice(-2)).toMatchObject([{ type: "error" }, { type: "end" }]);
    await expect(TlsRpcClient.open({ port, authority }, alice)).rejects.toThrow();
  });

  onLinux.test("a connection over which somebody proved who it is is no stranger's", async () => {
    const target = await room(optional);
    const known = async () => {
      const page = await fetch(`${target.url}/metrics`, { headers: { authorization: "Bearer figures" } });
      return Number(/^roost_connections\{of="accounts"\} (\d+)/m.exec(await page.text())?.[1]);
    };
    const stranger = await target.client();
    await whoAmI(stranger, { metadata: { timestamp_ms: 1, auth: { principal: "anna" } } });
    expect(await known()).toBe(0);
    await whoAmI(await target.client(made.alice));
    expect(await known()).toBe(1);
  });

  test("texts in place of files, and a key with a password", async () => {
    const key = await made.certificates.encrypted(made.server, "a password");
    const target = await room({
      server_cert_path: "/nowhere",
      server_key_path: "/nowhere",
      ...{ server_cert: made.server.cert, server_key: key, server_key_password: "a password" },
      http: { ...required, ca_cert: made.authority.cert, minimum_version: "TLSv1.3" },
    });
    expect(await whoAmI(await target.client(made.alice))).toMatchObject({ principal: ALICE });
    await expect(target.client(made.alice, { maxVersion: "TLSv1.2" })).rejects.toThrow();
    const { body } = await target.call("SystemService/Config");
    expect(JSON.stringify(body)).not.toContain("a password");
    expect(JSON.stringify(body)).not.toContain("PRIVATE KEY");
  });
});

test("without a port for it no door is open, and what makes one is not loaded", async () => {
  const doors = async ({ url }: Served) => {
    const page = await fetch(`${url}/metrics`, { headers: { authorization: "Bearer figures" } });
    return (await page.text()).includes("roost_tls_connections{");
  };
  const figures = { metricsToken: "figures" };
  expect(await doors(await served({}, figures))).toBe(false);
  const { server } = made;
  const tls = { server_cert: server.cert, server_key: server.key };
  const document = { rpc: { tls: { port: freePort() } }, security: { tls } };
  expect(await doors(await served(document, figures))).toBe(true);
  const source = await Bun.file(join(import.meta.dir, "../src/rpc/index.ts")).text();
  const imported = new Bun.Transpiler({ loader: "ts" }).scanImports(source);
  expect(imported.find(({ path }) => path.includes("tls-listener"))?.kind).toBe("dynamic-import");
});
