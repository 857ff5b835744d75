// What an event of the audit says, and what it never says.
import { expect, test } from "bun:test";
import { callFrom } from "../../../test/support/rpc-call.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { Audit, type AuditEvent } from "./audit.ts";
import { auditValue, CUT } from "./audit-value.ts";

function audited() {
  const events: AuditEvent[] = [];
  return {
    events,
    audit: new Audit(() => ({ write: (event) => events.push(event), close: async () => {} })),
  };
}

test("of a client certificate it says enough to tell it apart, and no more (V56)", () => {
  const { events, audit } = audited();
  const fingerprint = Array.from({ length: 32 }, (_, at) =>
    at.toString(16).padStart(2, "0").toUpperCase(),
  ).join(":");
  const call = callFrom({
    certificate: {
      common_name: "robot.example",
      issuer: "Example CA",
      serial: "0A1B2C3D4E5F",
      fingerprint,
      san_dns: ["a", "b", "c", "d"],
    },
  });
  audit.request(call);
  expect(events[0]?.peer_certificate).toMatchObject({
    common_name: "robot.example",
    issuer: "Example CA",
    serial: "0a1b2c3d",
    fingerprint: "0001020304050607",
    san_dns: ["a", "b", "c"],
  });
  expect(JSON.stringify(events).toLowerCase()).not.toContain("0001020304050607:08".replaceAll(":", ""));
});

test("what is missing is a hyphen; long texts are cut", () => {
  const { events, audit } = audited();
  const call = callFrom({ identity: { id: "x".repeat(300) } });
  audit.response(call, { outcome: { status: "error", error: new RpcError(5003) }, durationMs: 7 });
  expect(events[0]).toMatchObject({
    event_type: "rpc_response",
    level: "info",
    trace_id: "-",
    alias_of: "-",
    principal: `${"x".repeat(256)}${CUT}`,
    status: "error",
    error_code: 5003,
    duration_ms: 7,
  });
});

test("it is silent where the document says so", () => {
  const { events, audit } = audited();
  const call = callFrom({ document: { security: { audit_enabled: false } } });
  audit.request(call);
  audit.access(call, false);
  audit.rateLimited(call);
  audit.response(call, { outcome: { status: "success", result: 1 }, durationMs: 1 });
  expect(events).toEqual([]);
});

test("large and strange values cost no more than small ones", () => {
  const circle: Record<string, unknown> = { bytes: new Uint8Array(5), big: 2n ** 70n };
  circle.circle = circle;
  expect(JSON.stringify(auditValue(circle))).toContain("5 bytes");
  const wide = auditValue(Array.from({ length: 100_000 }, () => ({ a: 1 })));
  expect(JSON.stringify(wide).length).toBeLessThan(20_000);
  const keys = auditValue(Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`k${at}`, at])));
  expect(Object.keys(keys as object).length).toBeLessThan(1_100);
  expect(auditValue(JSON.parse('{"__proto__": {"secret": "x"}}'))).toEqual(
    JSON.parse('{"__proto__": {"secret": "***REDACTED***"}}'),
  );
});
