// What the doctor finds of the document, and what a newcomer is told of it at the start: both as a start takes it, without a value in any
// sentence.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findings } from "./doctor.ts";
import { greeting } from "./greeting.ts";
import { rpc } from "./protocol.ts";
import type { RpcConfig } from "./settings.ts";

let dataDir: string;
let file: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-doctor-"));
  file = join(dataDir, "rpc.yaml");
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const SECRET = "a secret that is long enough for HS256";
const config = (more: Partial<RpcConfig> = {}) =>
  ({ dataDir, host: "127.0.0.1", port: 3005, ...more }) as RpcConfig;
const put = (text: string, mode = 0o600) => writeFileSync(file, text, { mode });

async function found(more: Partial<RpcConfig> = {}) {
  const all = await Array.fromAsync(findings(config(more)));
  expect(JSON.stringify(all)).not.toContain(SECRET);
  return all;
}

test("without a document the defaults count; with a good one what it says", async () => {
  expect(await found()).toEqual([
    {
      check: "rpc-document",
      result: "ok",
      says: `Calls are served as the defaults say: there is no ${file}.`,
    },
  ]);
  put("qos: { default_timeout_ms: 5000 }\n");
  expect(await found()).toMatchObject([{ result: "ok", says: `Calls are served as ${file} says.` }]);
  expect(await found({ rpcConfig: join(dataDir, "rpc.yaml") })).toMatchObject([{ result: "ok" }]);
  put("config: { nacos: { server_addresses: 127.0.0.1, data_id: x } }\n");
  expect(await found()).toMatchObject([
    { says: `Calls are served as ${file} says. What else a network says is not looked at.` },
  ]);
});

test("what a start would not take is a failure with its place and what to do", async () => {
  for (const [text, says] of [
    ["qos: { default_timeout: 5 }", "Did you mean qos.default_timeout_ms?"],
    ["qos: [", file],
    [`security: { jwt: { secret: "${SECRET}", leeway_s: x } }`, "security.jwt.leeway_s"],
    ["security: { rbac_enabled: true }", "nothing proves who calls"],
  ] as const) {
    put(text);
    expect([text, await found()]).toMatchObject([
      text,
      [
        {
          check: "rpc-document",
          result: "failure",
          says: expect.stringContaining(says),
          fix: expect.any(String),
        },
      ],
    ]);
  }
  rmSync(file);
  expect(await found({ rpcConfig: join(dataDir, "other.yaml") })).toMatchObject([
    { result: "failure", says: expect.stringContaining("it is not there") },
  ]);
});

test("what a start would warn of is a warning: everybody may call, a secret in the open, keys without an effect", async () => {
  const says = async (more: Partial<RpcConfig> = {}) =>
    (await found(more)).map(({ result, says }) => `${result}: ${says}`);
  expect(await says({ host: "0.0.0.0" })).toEqual([
    expect.stringMatching(/^warning: Everybody who reaches this server .* rpc\.yaml .*docs\/rpc\.md/),
  ]);
  put(`security: { jwt: { secret: "${SECRET}" } }`, 0o644);
  expect(await says()).toEqual([expect.stringContaining("chmod 600")]);
  rmSync(file);
  put("rpc: { grpc: { port: 50051 }, thrift: { port: 1 }, services_dir: x }\ngateway: { max_hops: 5 }");
  expect(await says()).toEqual([
    "warning: rpc.grpc has no effect: gRPC is not served yet, and no port is opened for it.",
    "warning: rpc.thrift has no effect: Thrift is not served yet, and no port is opened for it.",
    "warning: rpc.services_dir has no effect: methods of files of one's own are not loaded yet.",
    "warning: gateway has no effect: calls are not forwarded to instances yet.",
  ]);
});

test("a newcomer reads the address, and where it says who may call; nothing rather than a wrong line", async () => {
  const told = async (more: Partial<RpcConfig> = {}) =>
    (
      await greeting({
        config: config(more),
        firstRun: true,
        terminal: false,
        local: "http://localhost:3005",
        network: ["http://192.168.1.20:3005"],
      })
    ).join("\n");
  const open = await told();
  expect(open).toContain("POST http://192.168.1.20:3005/aduib_rpc/v2/rpc ");
  expect(open).toContain(`They need no proof who they are. Who may call is said in ${file}.`);
  expect(await told({ publicUrl: "https://roost.example.org" })).toContain(
    "POST https://roost.example.org/aduib_rpc/v2/rpc ",
  );
  put("rpc: { base_path: /calls }\nsecurity: { require_auth: true }");
  const closed = await told();
  expect(closed).toContain("POST http://192.168.1.20:3005/calls/v2/rpc ");
  expect(closed).not.toContain("no proof");
  for (const text of ["rpc: [", "config: { nacos: { server_addresses: 127.0.0.1, data_id: x } }"]) {
    put(text);
    expect(await told()).toBe("");
  }
});

test("its findings have their place in docs/what-can-go-wrong.md", () => {
  const page = readFileSync(resolve(import.meta.dir, "../../docs/what-can-go-wrong.md"), "utf8");
  expect(rpc.doctor?.names).toEqual(["rpc-document"]);
  for (const name of rpc.doctor?.names ?? []) expect(page).toContain(`\n### ${name}\n`);
});
