// Documents that a server does not start with, and those that it warns about.
import { describe, expect, test } from "bun:test";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import { refuseSecurity, securityWarnings } from "./startup.ts";

const key = { sha256: "0".repeat(64), principal: "a" };
const jwt = { secret: "a secret that is long enough for HS256" };
const refuse =
  (security: Record<string, unknown>, hasModules = false, rpc: Record<string, unknown> = {}) =>
  () =>
    refuseSecurity(documentFrom({ security, rpc }), { hasModules });

describe("roles without anybody who proves a caller", () => {
  test("are an error at the start", () => {
    expect(refuse({ rbac_enabled: true })).toThrow("security.rbac_enabled");
    // A certificate that no listener asks for proves nobody.
    expect(refuse({ rbac_enabled: true, tls: { client_cert_verification: "required" } })).toThrow(
      "security.rbac_enabled",
    );
    expect(refuse({ rbac_enabled: true }, false, { tls: { port: 1 } })).toThrow("security.rbac_enabled");
    const tls = { client_cert_verification: "required", http: { client_cert_verification: "none" } };
    expect(refuse({ rbac_enabled: true, tls }, false, { tls: { port: 1 } })).toThrow("security.rbac_enabled");
  });

  test.each<[string, Record<string, unknown>, boolean, Record<string, unknown>]>([
    ["a secret of tokens", { jwt }, false, {}],
    ["API keys", { api_keys: [key] }, false, {}],
    ["a module", {}, true, {}],
    [
      "a proxy that verifies certificates",
      { tls: { trusted_proxy: { addresses: ["10.0.0.1"], header: "x-cert" } } },
      false,
      {},
    ],
    ["trust, for development", { trust_metadata_identity: true }, false, {}],
    ["client certificates", { tls: { client_cert_verification: "optional" } }, false, { tls: { port: 1 } }],
    [
      "client certificates of one protocol",
      { tls: { grpc: { client_cert_verification: "required" } } },
      false,
      { tls: { port: 1 } },
    ],
  ])("are none with %s", (_name, security, hasModules, rpc) => {
    expect(refuse({ rbac_enabled: true, ...security }, hasModules, rpc)).not.toThrow();
  });

  test("do not matter where roles are off", () => {
    expect(refuse({})).not.toThrow();
  });
});

test("everybody's role is not the one that may do everything", () => {
  expect(refuse({ rbac_enabled: true, jwt, default_role: "admin" })).toThrow("everybody");
  expect(refuse({ rbac_enabled: true, jwt, default_role: "", superadmin_role: "" })).not.toThrow();
});

test("one key is one principal, and a hash that no key has is none", () => {
  expect(refuse({ api_keys: [key, { ...key, principal: "b" }] })).toThrow('"b" twice');
  for (const sha256 of ["0".repeat(63), "A".repeat(64), "0".repeat(65), ""])
    expect(() => documentFrom({ security: { api_keys: [{ ...key, sha256 }] } })).toThrow();
  expect(() => documentFrom({ security: { api_keys: [{ ...key, tenant: "a b" }] } })).toThrow();
});

describe("warnings", () => {
  const warnings = (security: Record<string, unknown>, host = "127.0.0.1") =>
    securityWarnings(documentFrom({ security }), { hasModules: false }, host);

  test("one where anybody in reach may call, and none on this machine alone", () => {
    expect(warnings({}, "0.0.0.0")).toEqual([expect.stringContaining("Everybody who reaches this server")]);
    for (const host of ["192.168.1.1", "::", "127.evil.example"]) expect(warnings({}, host)).toHaveLength(1);
    for (const host of ["127.0.0.1", "::1", "localhost", "127.8.9.1"]) expect(warnings({}, host)).toEqual([]);
    expect(warnings({ jwt }, "0.0.0.0")).toEqual([]);
  });

  test("of trust in what callers say, and of a secret that can be guessed", () => {
    expect(warnings({ trust_metadata_identity: true })).toEqual([
      expect.stringContaining("trust_metadata_identity"),
    ]);
    expect(warnings({ jwt: { secret: "short" } })).toEqual([expect.stringContaining("security.jwt.secret")]);
  });
});
