// One WebSocket frame on its way to clients: text or bytes, sent exactly as given. A sender that wants to know what became of it
// gives an acknowledgement.
import type { Payload } from "../bus/envelope.ts";

export interface Frame {
  /** A string leaves as a text frame, bytes as a binary frame. */
  readonly data: Payload;
  /** Called exactly once: without an error when the frame was handed to the system, with one when it never will be. */
  readonly ack?: (error?: Error) => void;
}

/** What became of one broadcast. */
export interface BroadcastResult {
  /** Clients of this node that got it. */
  readonly local: number;
  /** Clients of this node whose queue was full. */
  readonly dropped: number;
  /** True when the bus took it. */
  readonly published: boolean;
}
