// The audit (contract 17.3): what was asked and answered, who was refused and why. An event is handed to its sink and never waits for it.
import { isoNow } from "../../observability/iso-now.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { PeerSummary } from "../registry/call-context.ts";
import { told } from "../security/certificate-summary.ts";
import { methodOf } from "./access-line.ts";
import { auditValue, cutText } from "./audit-value.ts";

export type AuditKind =
  | "rpc_request"
  | "rpc_response"
  | "auth_failed"
  | "security_access_granted"
  | "security_access_denied"
  | "security_rate_limited";

/** One line of it. */
export type AuditEvent = Readonly<Record<string, unknown>> & {
  readonly event_type: AuditKind;
  readonly level: "info" | "warn";
};

export interface AuditSink {
  /** Never throws and never waits. */
  write(event: AuditEvent): void;
  /** What it was given is written, as far as it can be. */
  close(): Promise<void>;
}

export interface Ended {
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** The code that a fallback stands for. */
  readonly fellBack?: number | undefined;
}

export class Audit {
  constructor(private readonly sink: () => AuditSink) {}

  request(call: Call): void {
    if (!isOn(call)) return;
    const event = eventOf(call, "rpc_request", undefined);
    if (call.config.observability.audit_params) event.params = auditValue(call.asked.data);
    this.#write(event);
  }

  response(call: Call, ended: Ended): void {
    if (!isOn(call)) return;
    const { outcome } = ended;
    const event = eventOf(call, "rpc_response", ended);
    if (call.config.observability.audit_response && outcome.status !== "error")
      event.response = auditValue(outcome.result);
    if (ended.fellBack !== undefined) event.details = { fallback_for: ended.fellBack };
    this.#write(event);
  }

  authFailed(call: Call, ended: Ended): void {
    if (!isOn(call)) return;
    const details = { scheme: call.asked.metadata?.auth?.scheme ?? HYPHEN };
    this.#write({ ...eventOf(call, "auth_failed", ended), details });
  }

  access(call: Call, isGranted: boolean): void {
    if (!isOn(call)) return;
    const { permission } = call.definition;
    const { roles } = call.identity;
    const kind = isGranted ? "security_access_granted" : "security_access_denied";
    const details = auditValue({ permission: permission ?? HYPHEN, roles });
    this.#write({ ...eventOf(call, kind, undefined), details });
  }

  rateLimited(call: Call): void {
    if (!isOn(call)) return;
    const details = { limit: call.rateLimit?.limit ?? HYPHEN };
    this.#write({ ...eventOf(call, "security_rate_limited", undefined), details });
  }

  #write(event: AuditEvent): void {
    this.sink().write(event);
  }
}

type Growing = AuditEvent & Record<string, unknown>;

function eventOf(call: Call, kind: AuditKind, ended: Ended | undefined): Growing {
  const { identity, incoming } = call;
  const { address, certificate, turnedAway } = incoming.peer;
  const shown = certificate ?? turnedAway;
  const outcome = ended?.outcome;
  const event: Growing = {
    event_type: kind,
    timestamp: isoNow(),
    level: kind === "rpc_request" || kind === "rpc_response" ? "info" : "warn",
    tenant_id: textOf(call.tenant),
    request_id: textOf(call.id),
    trace_id: textOf(call.trace?.traceId),
    span_id: textOf(call.trace?.spanId),
    principal: textOf(identity.id),
    verified: identity.verified,
    auth_scheme: textOf(identity.auth_scheme),
    method: textOf(methodOf(call)),
    alias_of: textOf(call.aliasOf),
    negotiated_version: textOf(call.version),
    transport: incoming.transport,
    remote_address: textOf(address),
    status: outcome?.status ?? HYPHEN,
    error_code: outcome?.status === "error" ? outcome.error.code : HYPHEN,
    duration_ms: ended?.durationMs ?? HYPHEN,
  };
  if (shown !== undefined) event.peer_certificate = certificateOf(shown, certificate !== null);
  return event;
}

const textOf = (value: string | null | undefined): string => (value ? cutText(value) : HYPHEN);

/** Of what is missing. */
const HYPHEN = "-";
const MAX_NAMES = 3;

const isOn = ({ config }: Call): boolean => config.security.audit_enabled;

/** Contract 18.4. */
function certificateOf(peer: PeerSummary, isTaken: boolean): Readonly<Record<string, unknown>> {
  const names = (all: readonly string[]) => all.slice(0, MAX_NAMES).map(cutText);
  const { serial, fingerprint } = told(peer);
  return {
    common_name: cutText(peer.common_name ?? HYPHEN),
    san_dns: names(peer.san_dns),
    san_uri: names(peer.san_uri),
    issuer: cutText(peer.issuer ?? HYPHEN),
    serial: serial || HYPHEN,
    fingerprint,
    not_before: cutText(peer.not_before || HYPHEN),
    not_after: cutText(peer.not_after || HYPHEN),
    accepted: isTaken,
  };
}
