// Where a client stands in the events, as it gives it back when it returns (B8): `<epoch>:<number>:<tag>`. The epoch is of this process, so
// that a cursor of another run is recognized; the tag is of the namespace, so that a cursor is worth nothing in another.
import { createHmac, randomBytes } from "node:crypto";

const CURSOR = /^([0-9a-f]{8}):([1-9]\d{0,14}):([0-9a-f]{8})$/;

export class Cursors {
  readonly #epoch = randomBytes(4).toString("hex");
  readonly #secret = randomBytes(32);
  /** Most events in a row are of one namespace. */
  #last = { namespace: "", tag: this.#made("") };

  of(number: number, namespace: string): string {
    return `${this.#epoch}:${number}:${this.#tag(namespace)}`;
  }

  /** The number in a cursor of this run and namespace. */
  numberIn(cursor: string | undefined, namespace: string): number | undefined {
    const [, epoch, number, tag] = CURSOR.exec(cursor ?? "") ?? [];
    return epoch === this.#epoch && tag === this.#tag(namespace) ? Number(number) : undefined;
  }

  #tag(namespace: string): string {
    if (this.#last.namespace !== namespace) this.#last = { namespace, tag: this.#made(namespace) };
    return this.#last.tag;
  }

  #made(namespace: string): string {
    return createHmac("sha256", this.#secret).update(namespace).digest("hex").slice(0, 8);
  }
}
