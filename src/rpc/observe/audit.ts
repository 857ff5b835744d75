// The audit (contract 17.3): what was asked and answered, who was refused and why. An event is handed to its sink and never waits for it.
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
    const { audit_params: hasParams } = call.config.observability;
    this.#write(call, "rpc_request", {
      ...(hasParams && { params: auditValue(call.asked.data) }),
    });
  }

  response(call: Call, ended: Ended): void {
    if (!isOn(call)) return;
    const { outcome } = ended;
    const isShown = call.config.observability.audit_response && outcome.status !== "error";
    this.#write(
      call,
      "rpc_response",
      {
        ...(isShown && { response: auditValue(outcome.result) }),
        ...(ended.fellBack !== undefined && { details: { fallback_for: ended.fellBack } }),
      },
      ended,
    );
  }

  authFailed(call: Call, ended: Ended): void {
    if (isOn(call))
      this.#write(
        call,
        "auth_failed",
        { details: { scheme: call.asked.metadata?.auth?.scheme ?? HYPHEN } },
        ended,
      );
  }

  access(call: Call, isGranted: boolean): void {
    if (!isOn(call)) return;
    const { permission } = call.definition;
    const { roles } = call.identity;
    this.#write(call, isGranted ? "security_access_granted" : "security_access_denied", {
      details: auditValue({ permission: permission ?? HYPHEN, roles }),
    });
  }

  rateLimited(call: Call): void {
    if (isOn(call))
      this.#write(call, "security_rate_limited", { details: { limit: call.rateLimit?.limit ?? HYPHEN } });
  }

  #write(call: Call, kind: AuditKind, more: Readonly<Record<string, unknown>>, ended?: Ended): void {
    const { identity, incoming } = call;
    const { certificate, turnedAway } = incoming.peer;
    const shown = certificate ?? turnedAway;
    const error = ended?.outcome.status === "error" ? ended.outcome.error : undefined;
    const text = (value: string | null | undefined) => (value ? cutText(value) : HYPHEN);
    this.sink().write({
      event_type: kind,
      timestamp: new Date().toISOString(),
      level: kind === "rpc_request" || kind === "rpc_response" ? "info" : "warn",
      tenant_id: text(call.tenant),
      request_id: text(call.id),
      trace_id: text(call.trace?.traceId),
      span_id: text(call.trace?.spanId),
      principal: text(identity.id),
      verified: identity.verified,
      auth_scheme: text(identity.auth_scheme),
      method: text(methodOf(call)),
      alias_of: text(call.aliasOf),
      negotiated_version: text(call.version),
      transport: incoming.transport,
      remote_address: text(incoming.peer.address),
      status: ended?.outcome.status ?? HYPHEN,
      error_code: error?.code ?? HYPHEN,
      duration_ms: ended?.durationMs ?? HYPHEN,
      ...(shown !== undefined && { peer_certificate: certificateOf(shown, certificate !== null) }),
      ...more,
    });
  }
}

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
