// What a transport hands to the pipeline: a decoded message and the facts that came with it. A transport decodes, runs the one pipeline and
// encodes; it adds nothing else (contract 26.1).
import type { RpcDocument } from "../document/document.ts";
import type { PeerSummary, Transport } from "../registry/call-context.ts";

/** Headers of HTTP, or the call metadata of gRPC; names in lower case. */
export interface HeaderSource {
  get(name: string): string | null;
  forEach(visit: (value: string, name: string) => void): void;
}

/** The other end of the connection. */
export interface Peer {
  /** Of the client, also behind a trusted proxy. */
  readonly address: string;
  /** A program on this machine, which speaks for nobody else. */
  readonly isLoopback: boolean;
  /** Of a client certificate that was verified and may call; null without one. */
  readonly certificate: PeerSummary | null;
  /** One that was verified, and is not among those that may call or no longer holds: for the audit, it proves nothing. */
  readonly turnedAway?: PeerSummary | undefined;
  /** Nothing is taken from there, whatever it presents: its certificate does not do where one is required, or it does not come through TLS. */
  readonly barred?: "certificate" | "plain" | undefined;
  /** Hears of an account that has proved itself there: what bounds strangers does not count it. */
  readonly proved?: ((account: string) => void) | undefined;
}

/** What the caller called: the unary endpoint, the one of streams, or one that takes several messages. */
export type CallKind = "unary" | "stream" | "client-stream" | "both";

export interface Incoming {
  readonly transport: Transport;
  readonly kind: CallKind;
  /** As the transport decoded it. */
  readonly message: unknown;
  readonly headers: HeaderSource;
  readonly peer: Peer;
  /** One request sees one document, from its first stage on. */
  readonly config: RpcDocument;
  /** Of `performance.now()`, at the first stage. */
  readonly startedAt: number;
  /** Unix milliseconds of the same moment. */
  readonly startedAtMs: number;
  /** Of the body on the wire. */
  readonly requestBytes: number;
  /** Of the message that was decoded from it; 0 where that is not held. */
  readonly messageBytes: number;
  /** The client left. */
  readonly disconnected: AbortSignal | undefined;
  /** Messages after the first. */
  readonly items?: AsyncIterable<unknown>;
  /** Written into `metadata.headers["content-type"]`. */
  readonly contentType: string;
  /** Written into `metadata.headers["content-encoding"]`; undefined for identity. */
  readonly contentEncoding: string | undefined;
  /** Of the answer, where it does not follow from the error's code: a wrong verb (contract 1). */
  readonly routerStatus?: number;
  /** Set where the transport itself refuses, at stages 1 to 4: the envelope is not read further. */
  readonly refused?: unknown;
}
