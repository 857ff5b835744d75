// Spans on their way to whoever collects them, as OTLP in JSON over HTTP (contract 8). Loaded only with an endpoint. A batch goes when it is
// full or old enough; a collector that is slow, away or wrong costs spans, which are counted, and nothing else.
import type { Logger } from "pino";
import { callService, ServiceError, serviceUrl } from "../../http/service-call.ts";
import { endsWithin } from "../../within.ts";
import type { Span } from "./span.ts";

export interface OtlpParts {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: () => { readonly name: string; readonly version: string; readonly instance: string };
  readonly dropped: (spans: number) => void;
  readonly log: Logger;
  readonly times?: Partial<OtlpTimes>;
}

export interface OtlpTimes {
  readonly batchMs: number;
  readonly answerMs: number;
  /** Doubles with each failure, up to the last. */
  readonly firstBackoffMs: number;
  readonly lastBackoffMs: number;
}

const TIMES: OtlpTimes = { batchMs: 5_000, answerMs: 10_000, firstBackoffMs: 1_000, lastBackoffMs: 30_000 };
const BATCH = 512;
const MAX_WAITING = 2_048;
/** Of one batch, before it is given up. */
const MAX_TRIES = 6;
const LAST_WAIT_MS = 2_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** What a collector asks to be tried again (OTLP 1.5, failures). */
const RETRIED = new Set([429, 502, 503, 504]);

export class OtlpExporter {
  readonly #waiting: Span[] = [];
  readonly #times: OtlpTimes;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  /** In a row. */
  #failures = 0;

  constructor(private readonly parts: OtlpParts) {
    this.#times = { ...TIMES, ...parts.times };
  }

  /** Never throws and never waits. */
  add(span: Span): void {
    if (this.#waiting.length >= MAX_WAITING || this.#stop.signal.aborted) {
      this.parts.dropped(1);
      return;
    }
    this.#waiting.push(span);
    if (this.#sending !== undefined) return;
    if (this.#failures === 0 && this.#waiting.length >= BATCH) this.#send();
    else this.#timer ??= this.#after(this.#pauseMs());
  }

  /** What waits is sent once more, and not for long. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const last = (async () => {
      await this.#sending;
      clearTimeout(this.#timer);
      while (this.#waiting.length > 0 && this.#failures === 0) await this.#batch();
    })();
    await endsWithin(LAST_WAIT_MS, last);
    this.#stop.abort();
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) this.parts.dropped(this.#waiting.length);
    this.#waiting.length = 0;
  }

  #after(ms: number): Timer {
    const timer = setTimeout(() => this.#send(), ms);
    timer.unref();
    return timer;
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#batch().finally(() => {
      this.#sending = undefined;
      if (this.#stop.signal.aborted || this.#waiting.length === 0) return;
      this.#timer ??= this.#after(this.#pauseMs());
    });
  }

  /** Before the next batch. */
  #pauseMs(): number {
    const { batchMs, firstBackoffMs, lastBackoffMs } = this.#times;
    if (this.#failures > 0) return Math.min(lastBackoffMs, firstBackoffMs * 2 ** (this.#failures - 1));
    return this.#waiting.length >= BATCH ? 0 : batchMs;
  }

  /** Never rejects. The spans stay in their place until somebody has them, or nobody will. */
  async #batch(): Promise<void> {
    const spans = this.#waiting.slice(0, BATCH);
    const outcome = await this.#post(spans);
    if (outcome === "sent") {
      if (this.#failures > 0) this.parts.log.info("spans are collected again");
      this.#failures = 0;
      this.#waiting.splice(0, spans.length);
      return;
    }
    if (this.#failures++ === 0)
      this.parts.log.warn({ problem: outcome.problem }, "spans cannot be sent; calls go on as before");
    if (outcome.isFinal || this.#failures % MAX_TRIES === 0) {
      this.#waiting.splice(0, spans.length);
      this.parts.dropped(spans.length);
    }
  }

  async #post(
    spans: readonly Span[],
  ): Promise<"sent" | { readonly problem: string; readonly isFinal: boolean }> {
    const { endpoint, headers } = this.parts;
    try {
      const answer = await callService(serviceUrl(endpoint, "/v1/traces"), {
        method: "POST",
        headers,
        json: this.#message(spans),
        maxBytes: MAX_ANSWER_BYTES,
        timeoutMs: this.#times.answerMs,
        signal: this.#stop.signal,
      });
      if (answer.ok) return "sent";
      return { problem: `it answered ${answer.status}`, isFinal: !RETRIED.has(answer.status) };
    } catch (error) {
      // The error of the network can hold the address, and that a password.
      if (error instanceof ServiceError) return { problem: "its answer is too large", isFinal: true };
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      return {
        problem: code === undefined ? "it does not answer" : `it does not answer (${code})`,
        isFinal: false,
      };
    }
  }

  #message(spans: readonly Span[]) {
    const { name, version, instance } = this.parts.resource();
    const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });
    return {
      resourceSpans: [
        {
          resource: {
            attributes: [
              attribute("service.name", name),
              attribute("service.version", version),
              attribute("service.instance.id", instance),
            ],
          },
          scopeSpans: [{ scope: { name: "roost.rpc", version }, spans }],
        },
      ],
    };
  }
}
