// Whatever clients of the RPC room send, in any format and compression: every answer is in the protocol's own shape with the status of its
// code, nothing that is the caller's fault is the server's, memory is bounded, and another tenant's calls go on meanwhile.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "@msgpack/msgpack";
import avsc from "avsc";
import { messageType } from "../../src/rpc/formats/aduib-proto.ts";
import { responseSchema } from "../../src/rpc/formats/avro-schema.ts";
import { expand } from "../../src/rpc/formats/compression.ts";
import { ERROR_CODES, httpStatusOf } from "../../src/rpc/wire/error-codes.ts";
import { Random, seeded } from "./random.ts";
import { bombs, type OddRequest, oddRequest } from "./rpc-envelopes.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const REQUESTS = 10_000;
const AT_ONCE = 16;
const MIB = 1024 * 1024;
/** Of the server, above what it had before. */
const MAX_GROWTH = 300 * MIB;
const BOUND_MS = 240_000;

// biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
type Json = any;

/** Each request has chances of its own: what is on its way beside it changes none of them. */
const SEED = seeded("rpc-malformed").whole(0, 2 ** 31);
const dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-malformed-"));
let server: ServerProcess;

beforeAll(async () => {
  server = await startProcess({
    dataDir,
    env: {
      ROOST_RPC_ENABLED: "true",
      ROOST_RPC_FIXTURES: "true",
      ROOST_RATE_LIMITS: "false",
      ROOST_LOG_LEVEL: "warn",
    },
  });
}, 30_000);
afterAll(async () => {
  await server?.end("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

async function send({ path, headers, body }: OddRequest) {
  const answer = await fetch(`${server.url}/aduib_rpc${path}`, {
    method: "POST",
    headers,
    body,
    decompress: false,
  });
  const raw = new Uint8Array(await answer.arrayBuffer());
  const coding = answer.headers.get("content-encoding");
  const bytes = coding === null ? raw : await expand(raw, coding as "gzip", 64 * MIB);
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", bytes };
}

const KNOWN = new Set(ERROR_CODES.map(({ code }) => code));
/** What is nobody's fault but the caller's, and what says that there is no room. */
const isCallers = (code: number) => code < 5000 || [5001, 5020, 5021].includes(code);
/** Who is not right may have asked for a deadline of a millisecond. */
const isAskedFor = (code: number, { isRight }: OddRequest) => code === 5003 && !isRight;

/** One key is read by no client with this library: only a caller that sent it gets it. */
function decoded(bytes: Uint8Array): Json {
  const name = Buffer.from(bytes).toString("latin1").replaceAll("__proto__", "__other__");
  return decode(Buffer.from(name, "latin1"));
}

const protobufStatus = ["", "success", "error", "partial"];
const avroType = avsc.Type.forSchema(responseSchema as avsc.Schema);

/** The Response, or of other answers what there is of one. Undefined: it has no shape of ours. */
function read(type: string, bytes: Uint8Array, path: string): Json {
  const text = () => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  if (type.startsWith("text/event-stream")) {
    const frames = text()
      .split("\n\n")
      .filter((part) => part.trim() !== "");
    return {
      frames: frames.map((part) => /^data: (.*)$/m.exec(part)?.[1] ?? "null").map((line) => JSON.parse(line)),
    };
  }
  if (type === "application/msgpack") return decoded(bytes);
  if (type === "application/protobuf") {
    const type = messageType("Response");
    const message: Json = type.toObject(type.decode(bytes), { defaults: true });
    return { ...message, status: protobufStatus[message.status] };
  }
  if (type === "application/avro") return avroType.fromBuffer(Buffer.from(bytes.subarray(10)));
  if (type !== "application/json; charset=utf-8") return undefined;
  const value = JSON.parse(text());
  if (!path.startsWith("/v2")) return Array.isArray(value) ? value : { jsonrpc: value };
  return value;
}

/** Undefined: all is well. */
function wrong(
  request: OddRequest,
  { status, type, bytes }: Awaited<ReturnType<typeof send>>,
): string | undefined {
  const answer = read(type, bytes, request.path);
  if (answer === undefined) return `no shape of ours: ${type} ${Buffer.from(bytes).toString().slice(0, 200)}`;
  if (answer.frames !== undefined) return status === 200 ? undefined : `events with ${status}`;
  if (answer.jsonrpc !== undefined) {
    const { error, result, id } = answer.jsonrpc;
    if ((error === undefined) === (result === undefined) || id === undefined) return "no JSON-RPC answer";
    if (error === undefined) return undefined;
    if (!KNOWN.has(error.data?.code)) return `JSON-RPC error without its data: ${JSON.stringify(error)}`;
    return isCallers(error.data.code) || isAskedFor(error.data.code, request)
      ? undefined
      : `the server's fault: ${JSON.stringify(error)}`;
  }
  if (answer.status === "error" && answer.aduib_rpc === "2.0") {
    const { code } = answer.error;
    if (!KNOWN.has(code)) return `code ${code}`;
    if (typeof answer.id !== "string") return "no id";
    if (status !== httpStatusOf(code) && status !== 405) return `code ${code} under ${status}`;
    if (request.isRight) return `refused though it is right: ${JSON.stringify(answer.error)}`;
    return isCallers(code) || isAskedFor(code, request)
      ? undefined
      : `the server's fault: ${JSON.stringify(answer.error)}`;
  }
  if (status !== 200) return `status ${status} without an error`;
  const isBare = /^\/v2\/(Task|Health|Discovery)/.test(request.path);
  if (isBare) return undefined;
  if (answer.aduib_rpc !== "2.0" || !["success", "partial"].includes(answer.status)) return "no Response";
  return typeof answer.id === "string" && answer.metadata ? undefined : "half a Response";
}

/** Another tenant, whose calls succeed all the while. */
function bystander() {
  let isOver = false;
  let slowest = 0;
  let calls = 0;
  const trouble: string[] = [];
  const loop = (async () => {
    while (!isOver) {
      const began = performance.now();
      const answer = await fetch(`${server.url}/aduib_rpc/v2/rpc`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-tenant-id": "bystander" },
        body: JSON.stringify({ id: "b", method: "rpc.v2/EchoService/Echo", data: { calls } }),
      }).catch((error: unknown) => String(error));
      if (typeof answer === "string") trouble.push(answer);
      else if (answer.status !== 200 || ((await answer.json()) as Json).result.calls !== calls)
        trouble.push(`${answer.status}`);
      slowest = Math.max(slowest, performance.now() - began);
      calls++;
      await Bun.sleep(2);
    }
  })();
  return {
    end: async () => {
      isOver = true;
      await loop;
      return { trouble, calls, slowestMs: Math.round(slowest) };
    },
  };
}

const shown = ({ path, headers, body }: OddRequest) =>
  `${path} ${JSON.stringify(headers)} ${Buffer.from(body).toString("base64").slice(0, 600)}`;

const failures = (): string[] => server.logged(50).map((line) => JSON.stringify(line).slice(0, 600));

test(
  `${REQUESTS} requests, right and wrong`,
  async () => {
    const before = memoryOf(server.pid);
    const other = bystander();
    const found: string[] = [];
    let next = 0;
    let right = 0;
    let allowed = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < REQUESTS && found.length < 20) {
          const request = await oddRequest(new Random(SEED + next), next++);
          const answer = await send(request);
          if (answer.status === 200) allowed++;
          if (request.isRight) right++;
          let trouble: string | undefined;
          try {
            trouble = wrong(request, answer);
          } catch (error) {
            trouble = `cannot be read: ${error}`;
          }
          if (trouble !== undefined) found.push(`${trouble}\n  ${shown(request)}`);
        }
      }),
    );
    const { trouble, calls, slowestMs } = await other.end();
    const grown = (memoryOf(server.pid)?.peak ?? 0) - (before?.resident ?? 0);
    console.error(
      `rpc-malformed: ${next} requests, ${right} right ones, ${allowed} answered; bystander ${calls} calls, slowest ${slowestMs} ms; ${Math.round(grown / MIB)} MiB more at most`,
    );
    expect(found).toEqual([]);
    expect(trouble).toEqual([]);
    expect(failures()).toEqual([]);
    expect(right).toBeGreaterThan(REQUESTS / 5);
    expect(allowed).toBeLessThan(REQUESTS);
    expect(grown).toBeLessThan(MAX_GROWTH);
  },
  BOUND_MS,
);

test(
  "bombs, all at once",
  async () => {
    const before = memoryOf(server.pid);
    const all = await bombs();
    const other = bystander();
    const answers = await Promise.all(
      all.map(async ({ name, request }) => {
        // So many of one network may wait; the others are asked to come again.
        for (let tries = 0; ; tries++) {
          const answer = await send(request);
          const trouble = wrong(request, answer);
          if (trouble !== undefined || answer.status !== 429 || tries > 500)
            return [name, trouble, answer.status] as const;
          await Bun.sleep(50);
        }
      }),
    );
    const { trouble, calls, slowestMs } = await other.end();
    const grown = (memoryOf(server.pid)?.peak ?? 0) - (before?.resident ?? 0);
    console.error(
      `rpc-malformed: ${all.length} bombs; bystander ${calls} calls, slowest ${slowestMs} ms; ${Math.round(grown / MIB)} MiB more at most`,
    );
    expect(answers.filter(([, wrong]) => wrong !== undefined)).toEqual([]);
    for (const [name, , status] of answers)
      if (name.startsWith("zeros") || name.startsWith("empty")) expect([name, status]).toEqual([name, 400]);
    expect(trouble).toEqual([]);
    expect(failures()).toEqual([]);
    expect(grown).toBeLessThan(MAX_GROWTH);
  },
  BOUND_MS,
);
