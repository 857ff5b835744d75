// Large memory that nothing uses any more goes back at once. The collector would let it pile up: it comes when it likes, and by then
// the next hundred megabytes are there.

/** Smaller memory is not worth the call, and may be shared with other small buffers. */
const WORTH_BYTES = 32 * 1024;

/** Nothing may use the bytes afterwards, nor others of the same buffer: they are gone. */
export function releaseMemory({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= WORTH_BYTES) buffer.transfer(0);
}
