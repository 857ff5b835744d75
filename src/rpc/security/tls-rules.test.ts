// Documents about TLS that a server does not start with, and what of `security.tls` counts for calls over HTTP.
import { describe, expect, test } from "bun:test";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import { allowedNames, clientCertificates, refuseTls, tlsWarnings } from "./tls-rules.ts";

const documentOf = (tls: Record<string, unknown>, port = 0, security: Record<string, unknown> = {}) =>
  documentFrom({ rpc: { tls: { port } }, security: { ...security, tls } });
const refuse = (...given: Parameters<typeof documentOf>) => {
  const document = documentOf(...given);
  return () => refuseTls(document, 3005);
};
const pair = { server_cert_path: "/crt", server_key_path: "/key" };
const proxy = { addresses: ["10.0.0.1"], header: "X-Client-Cert" };

describe("a start is refused", () => {
  test.each<[string, Parameters<typeof documentOf>, string]>([
    ["that asks for certificates at no port", [{ client_cert_verification: "optional" }], "set rpc.tls.port"],
    ["that does so for HTTP alone", [{ http: { client_cert_verification: "required" } }], "set rpc.tls.port"],
    ["that requires TLS and has none", [{ required_for_rpc: true }], "set rpc.tls.port"],
    ["with a port and no certificate", [{}, 1], "set security.tls.server_cert_path"],
    ["with a port and no key", [{ server_cert: "PEM" }, 1], "set security.tls.server_key_path"],
    ["with one port for both", [pair, 3005], "the server's own port"],
    [
      "that trusts everybody's word",
      [{ trusted_proxy: { ...proxy, addresses: ["10.0.0.1", "0.0.0.0/0"] } }],
      "0.0.0.0/0",
    ],
    ["that trusts everybody's IPv6", [{ trusted_proxy: { ...proxy, addresses: ["::/0"] } }], "::/0"],
  ])("%s", (_what, given, sentence) => expect(refuse(...given)).toThrow(sentence));

  test("and not for what can be done", () => {
    for (const given of [
      [{}],
      [pair],
      [pair, 1],
      [{ server_cert: "PEM", http: { server_key_path: "/key" } }, 1],
      [{ ...pair, client_cert_verification: "required", required_for_rpc: true }, 1],
      [{ trusted_proxy: proxy, required_for_rpc: true }],
      [{ client_cert_verification: "none" }],
    ] as Parameters<typeof documentOf>[])
      expect(refuse(...given)).not.toThrow();
  });

  test("by the form of the document: addresses and the header of a proxy", () => {
    for (const trusted_proxy of [
      { ...proxy, addresses: [] },
      { ...proxy, addresses: ["proxy.example"] },
      { ...proxy, header: "X Client" },
      { ...proxy, header: "" },
      { addresses: proxy.addresses },
    ])
      expect(() => documentOf({ trusted_proxy })).toThrow();
  });
});

test("warnings: a plain port beside one that requires certificates, a certificate that nobody sees", () => {
  const required = { ...pair, client_cert_verification: "required" };
  expect(tlsWarnings(documentOf(required, 1))).toEqual([expect.stringContaining("required_for_rpc")]);
  expect(tlsWarnings(documentOf({ ...required, required_for_rpc: true }, 1))).toEqual([]);
  expect(tlsWarnings(documentOf(required, 1, { require_auth: true }))).toEqual([]);
  expect(tlsWarnings(documentOf(pair))).toEqual([expect.stringContaining("rpc.tls.port")]);
  expect(tlsWarnings(documentOf({ grpc: {} }))).toEqual([expect.stringContaining("security.tls.grpc")]);
  expect(tlsWarnings(documentOf({}))).toEqual([]);
});

test("HTTP has its own word, and names that are not asked for are not inherited", () => {
  const { tls } = documentOf({
    client_cert_verification: "required",
    allowed_subject_cns: ["a"],
    http: { client_cert_verification: "none" },
  }).security;
  expect([clientCertificates(tls), allowedNames(tls)]).toEqual(["none", undefined]);
  const own = documentOf({ allowed_subject_cns: ["a"], http: { allowed_subject_cns: ["b"] } }).security.tls;
  expect([clientCertificates(own), allowedNames(own)?.subjectCommonNames]).toEqual(["none", ["b"]]);
});
