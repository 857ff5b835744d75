// A call as it is at one stage of the RPC pipeline, for tests of what stands at that stage.
import { type RpcDocument, rpcDocument } from "../../src/rpc/document/document.ts";
import { Call, type Identity } from "../../src/rpc/pipeline/call.ts";
import type { PeerSummary } from "../../src/rpc/registry/call-context.ts";
import { fullName, type MethodDefinition } from "../../src/rpc/registry/definition.ts";
import { readRequest } from "../../src/rpc/wire/request.ts";

export interface CallFrom {
  readonly document?: Record<string, unknown>;
  /** By its full name. */
  readonly method?: string;
  readonly auth?: Record<string, unknown>;
  readonly metadata?: Record<string, unknown>;
  readonly qos?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
  readonly certificate?: Partial<PeerSummary>;
  /** Of a call that was authenticated and looked up. */
  readonly identity?: Partial<Identity>;
  readonly definition?: Partial<MethodDefinition>;
  readonly aliasOf?: string;
  readonly isLoopback?: boolean;
}

export const documentFrom = (given: Record<string, unknown> = {}): RpcDocument => rpcDocument.parse(given);

export const CERTIFICATE: PeerSummary = {
  common_name: null,
  san_dns: [],
  san_uri: [],
  issuer: null,
  serial: "01",
  fingerprint: "00",
  not_before: "",
  not_after: "",
};

export const VERIFIED: Identity = {
  id: "somebody",
  type: "user",
  roles: [],
  scopes: [],
  verified: true,
  auth_scheme: "bearer",
  tenant: undefined,
};

export function callFrom(from: CallFrom = {}): Call {
  const { auth, metadata, qos, method = "rpc.v2/EchoService/Echo" } = from;
  const config = documentFrom(from.document);
  const read = readRequest(
    { id: "1", method, metadata: { timestamp_ms: 1, ...(auth !== undefined && { auth }), ...metadata }, qos },
    "string",
  );
  if (!("request" in read)) throw read.error;
  const call = new Call({
    transport: "rest",
    kind: "unary",
    message: null,
    headers: new Headers(from.headers),
    peer: {
      address: "203.0.113.7",
      isLoopback: from.isLoopback === true,
      certificate: from.certificate === undefined ? null : { ...CERTIFICATE, ...from.certificate },
    },
    config,
    startedAt: performance.now(),
    startedAtMs: Date.now(),
    requestBytes: 0,
    messageBytes: 0,
    disconnected: undefined,
    contentType: "application/json",
    contentEncoding: undefined,
  });
  call.id = "1";
  call.request = read.request;
  call.version = "2.0";
  call.identity = { ...VERIFIED, ...from.identity };
  const { service, handler } = read.request.method;
  call.method = { service, handler, source: "builtin", run: () => null, ...from.definition };
  call.methodName = fullName(call.method);
  call.aliasOf = from.aliasOf;
  return call;
}
