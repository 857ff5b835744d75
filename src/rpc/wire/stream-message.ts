// What a stream is made of (contract 7.1): numbered frames, each with exactly one payload.
import type { ErrorBody } from "./rpc-error.ts";

export interface StreamControl {
  readonly final?: boolean;
  /** Of data frames. */
  readonly total_count?: number;
  readonly ping_id?: string;
  readonly reason?: string;
  readonly ack_sequence?: number;
}

interface Payloads {
  readonly data: { readonly data: unknown };
  readonly partial: { readonly data: unknown };
  readonly error: { readonly error: ErrorBody };
  readonly heartbeat: { readonly control: StreamControl };
  readonly end: { readonly control: StreamControl };
  readonly cancel: { readonly control: StreamControl };
  readonly ack: { readonly control: StreamControl };
}

export type StreamMessageType = keyof Payloads;

export interface Frame<T extends StreamMessageType> {
  readonly type: T;
  /** 1 for the first; each frame of every type adds one. */
  readonly sequence: number;
  readonly payload: Payloads[T];
  /** Unix milliseconds. */
  readonly timestamp_ms: number;
}

/** What a server sends. */
export type StreamMessage = {
  [T in Exclude<StreamMessageType, "ack">]: Frame<T>;
}[Exclude<StreamMessageType, "ack">];
