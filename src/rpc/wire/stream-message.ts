// What a stream is made of (contract 7.1): numbered frames, each with exactly one payload.
import type { ErrorBody } from "./rpc-error.ts";

export interface StreamControl {
  readonly final?: boolean;
  readonly total_count?: number;
  readonly ping_id?: string;
  readonly reason?: string;
  readonly ack_sequence?: number;
}

interface Frame<T extends string, P> {
  readonly type: T;
  /** 1 for the first; each frame of every type adds one. */
  readonly sequence: number;
  readonly payload: P;
  /** Unix milliseconds. */
  readonly timestamp_ms: number;
}

export type StreamMessage =
  | Frame<"data" | "partial", { readonly data: unknown }>
  | Frame<"error", { readonly error: ErrorBody }>
  | Frame<"heartbeat" | "end" | "cancel" | "ack", { readonly control: StreamControl }>;
