// What a connection proves, and to whom it is barred: the port, the certificate, the proxy's word.
import { describe, expect, test } from "bun:test";
import { requestFacts } from "../../../test/support/request-facts.ts";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import { Addresses } from "../../limits/addresses.ts";
import { Caller } from "../../server/caller.ts";
import { KnownPeers } from "../../server/known-peers.ts";
import type { ClientCertificate } from "../../server/tls-door-certificate.ts";
import { peerOf } from "./peer.ts";

const CERTIFICATE: ClientCertificate = {
  commonName: "alice",
  dnsNames: [],
  uris: [],
  issuerCommonName: "ca",
  serial: "0A",
  fingerprint: "ab".repeat(32),
  validFrom: 0,
  validUntil: Number.MAX_SAFE_INTEGER,
  isAllowed: true,
};
const WORD = { "x-cert": `Hash=${"cd".repeat(32)};Subject="CN=carol"` };

interface Asked {
  readonly tls?: Record<string, unknown>;
  readonly certificate?: ClientCertificate;
  readonly headers?: Record<string, string>;
  readonly peer?: string;
  readonly client?: string;
  /** Of the room's TLS listener. */
  readonly port?: number;
  readonly localPort?: number;
}

function peer({ tls = {}, certificate, headers, peer = "203.0.113.7", ...asked }: Asked) {
  const { client = peer, port = 4000, localPort = port } = asked;
  const document = documentFrom({ rpc: { tls: { port } }, security: { tls } });
  const end = { address: peer, port: 50_000, localPort };
  const caller = new Caller(client, end, new Addresses(), new KnownPeers());
  const facts = { ...requestFacts(), caller, clientAddress: client, certificate };
  return { ...peerOf(facts, new Headers(headers), document), caller };
}
const required = { client_cert_verification: "required" };
const proxied = { trusted_proxy: { addresses: ["203.0.113.0/24"], header: "X-Cert" } };

describe("a certificate", () => {
  test("counts at the room's own port", () => {
    expect(peer({ tls: required, certificate: CERTIFICATE })).toMatchObject({
      address: "203.0.113.7",
      isLoopback: false,
      certificate: expect.objectContaining({ common_name: "alice", not_after: expect.any(String) }),
    });
    // That another listener asked for says nothing here.
    expect(peer({ certificate: CERTIFICATE, localPort: 5000 }).certificate).toBeNull();
    expect(peer({ certificate: CERTIFICATE, port: 0, localPort: 0 }).certificate).toBeNull();
  });

  test("that may not call, or is over, is told to the audit alone", () => {
    for (const bad of [{ isAllowed: false }, { validUntil: Date.now() - 1 }]) {
      const certificate = { ...CERTIFICATE, ...bad };
      const turnedAway = expect.objectContaining({ common_name: "alice" });
      const asked = peer({ tls: { client_cert_verification: "optional" }, certificate });
      expect(asked).toMatchObject({ certificate: null, turnedAway });
      expect(asked.barred).toBeUndefined();
      expect(peer({ tls: required, certificate })).toMatchObject({
        certificate: null,
        barred: "certificate",
      });
    }
  });
});

test("who proves an account is no stranger, at any port", () => {
  for (const port of [0, 4000]) {
    const { proved, caller } = peer({ port, localPort: 3005 });
    expect(caller.isKnown).toBe(false);
    proved?.("rpc/alice");
    expect(caller.isKnown).toBe(true);
  }
});

test("elsewhere nothing is taken where TLS is required", () => {
  const tls = { required_for_rpc: true };
  expect(peer({ tls, localPort: 3005 }).barred).toBe("plain");
  expect(peer({ tls, port: 0, localPort: 3005 }).barred).toBe("plain");
  expect(peer({ tls: { ...tls, ...required }, certificate: CERTIFICATE }).barred).toBeUndefined();
  expect(peer({ tls, certificate: CERTIFICATE, localPort: 5000 }).barred).toBe("plain");
});

describe("a proxy's word", () => {
  test("counts from its own address, whoever it says that it speaks for", () => {
    const { certificate } = peer({ tls: proxied, headers: WORD, port: 0, localPort: 3005 });
    expect(certificate?.common_name).toBe("carol");
    const named = { tls: proxied, headers: WORD, peer: "198.51.100.1", client: "203.0.113.7" };
    expect(peer({ ...named, localPort: 3005 }).certificate).toBeNull();
    expect(peer({ headers: WORD }).certificate).toBeNull();
  });

  test("of names that may not call lets nobody in", () => {
    const tls = { ...proxied, allowed_issuer_cns: ["ca"], required_for_rpc: true };
    const asked = { tls, port: 0, localPort: 3005 };
    expect(peer({ ...asked, headers: WORD })).toMatchObject({ certificate: null, barred: "plain" });
    const word = { "x-cert": `${WORD["x-cert"]};Issuer="CN=ca"` };
    expect(peer({ ...asked, headers: word }).certificate?.issuer).toBe("ca");
  });

  test("is needed: its own certificate is nobody else's", () => {
    const tls = { ...proxied, ...required };
    expect(peer({ tls, certificate: CERTIFICATE })).toMatchObject({
      certificate: null,
      barred: "certificate",
    });
    expect(peer({ tls, certificate: CERTIFICATE, headers: WORD }).certificate?.common_name).toBe("carol");
  });

  test("says that it speaks for somebody else than a program on this machine", () => {
    const tls = { trusted_proxy: { addresses: ["127.0.0.1"], header: "x-cert" } };
    const asked = { tls, peer: "127.0.0.1", localPort: 3005 };
    expect(peer(asked).isLoopback).toBe(true);
    expect(peer({ ...asked, headers: { "x-cert": "anything" } }).isLoopback).toBe(false);
  });
});
