// A large answer on its way to a client that may not read it: handed over as the client takes it, and counted in what waits for slow
// clients. When that is too much, who has taken nothing for the longest time is cut off; its connection is reset, so that nobody takes what
// came for the whole.
import type { MemoryPieces } from "../../limits/memory-pieces.ts";

/** A smaller one is in the buffers of the connection at once. */
export const PACED_BYTES = 256 * 1024;
const PIECE_BYTES = 128 * 1024;

export class AnswerGivenUp extends Error {}

export function pacedBody(bytes: Uint8Array, queues: MemoryPieces): ReadableStream<Uint8Array> {
  const owner = {};
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        // It is there as a whole until its last piece is taken.
        queues.set(owner, bytes.byteLength, () => {
          at = bytes.byteLength;
          controller.error(new AnswerGivenUp("the answer was given up: its reader stopped"));
        });
      },
      pull: (controller) => {
        if (at >= bytes.byteLength) {
          queues.forget(owner);
          controller.close();
          return;
        }
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        at += piece.byteLength;
        queues.set(owner, bytes.byteLength, () => {}, true);
        controller.enqueue(piece);
      },
      cancel: () => queues.forget(owner),
    },
    { highWaterMark: 0 },
  );
}
