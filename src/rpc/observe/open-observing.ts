// Where what is observed goes: the figures' page, the log, the audit's file, a collector. What nobody asked for is not loaded.
import { resolve } from "node:path";
import type { Logger } from "pino";
import { ReadyLines } from "../../observability/ready-lines.ts";
import type { House } from "../../protocol/house.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { Registry } from "../registry/registry.ts";
import type { RpcConfig } from "../settings.ts";
import { Audit, type AuditSink } from "./audit.ts";
import { AuditFile } from "./audit-file.ts";
import { AuditLog } from "./audit-log.ts";
import { CallMetrics } from "./call-metrics.ts";
import { Observing } from "./observing.ts";

export interface OpenObservingParts {
  readonly house: Pick<House<RpcConfig>, "config" | "metrics" | "log">;
  readonly document: () => RpcDocument;
  readonly registry: Registry;
  readonly server: { readonly id: string; readonly version: string };
  readonly ended: (call: Call, outcome: Outcome) => void;
  readonly lateResult: () => void;
}

export interface OpenObserving {
  readonly observer: Observing;
  close(): Promise<void>;
}

const AUDIT_FILE = "rpc-audit.jsonl";
/** The server's own log. */
const TO_THE_LOG = "-";

export async function openObserving(parts: OpenObservingParts): Promise<OpenObserving> {
  const { house, document, registry, server } = parts;
  const { metrics, log } = house;
  const audit = new AuditSinks(parts);
  const spansDropped = metrics.counter("rpc_spans_dropped_total", "Spans that no collector got");
  const { otlp_endpoint: endpoint, otlp_headers: headers } = document().tracing;
  const spans =
    endpoint === undefined
      ? undefined
      : new (await import("./otlp-exporter.ts")).OtlpExporter({
          endpoint,
          headers,
          resource: () => ({
            name: document().observability.service_name,
            version: server.version,
            instance: document().server.id ?? server.id,
          }),
          dropped: (count) => spansDropped.add(count),
          log,
        });
  return {
    observer: new Observing({
      log,
      accessLines: new ReadyLines(log),
      metrics: new CallMetrics(metrics, registry),
      audit: new Audit(() => audit.current()),
      spans,
      ended: parts.ended,
      lateResult: parts.lateResult,
    }),
    close: async () => {
      await Promise.all([audit.close(), spans?.close()]);
    },
  };
}

/** The one that the document names now; the one before it writes what it was given, and ends. */
class AuditSinks {
  #open: { readonly named: string; readonly sink: AuditSink } | undefined;
  #closing: Promise<void> = Promise.resolve();
  readonly #dropped: (events: number) => void;

  constructor(private readonly parts: Pick<OpenObservingParts, "house" | "document">) {
    const counter = parts.house.metrics.counter(
      "rpc_audit_dropped_total",
      "Events of the audit that nobody wrote",
    );
    this.#dropped = (events) => counter.add(events);
  }

  current(): AuditSink {
    const { house, document } = this.parts;
    const { audit_file: named = AUDIT_FILE } = document().observability;
    if (this.#open?.named === named) return this.#open.sink;
    const before = this.#open?.sink;
    if (before !== undefined) this.#closing = Promise.all([this.#closing, before.close()]).then(() => {});
    const sink =
      named === TO_THE_LOG
        ? new AuditLog(house.log)
        : this.#file(resolve(house.config.dataDir, named), house.log);
    this.#open = { named, sink };
    return sink;
  }

  async close(): Promise<void> {
    await Promise.all([this.#closing, this.#open?.sink.close()]);
  }

  #file(path: string, log: Logger): AuditFile {
    const { document } = this.parts;
    return new AuditFile({
      path,
      log,
      dropped: this.#dropped,
      maxBytes: () => document().observability.audit_max_bytes,
      keep: () => document().observability.audit_keep,
    });
  }
}
