// How many bytes the files of notes of a namespace have, so that one namespace does not fill the disk for the others. Read from the disk once
// for each namespace that uploads, then counted along; what is under way counts before it is there. Forgotten at every sweep, because
// namespaces are free choice and each would cost memory for ever.

interface Room {
  bytes: Promise<number> | number;
  underWay: number;
}

export class ScratchRoom {
  readonly #rooms = new Map<string, Room>();

  constructor(
    private readonly measure: (namespace: string) => Promise<number>,
    /** Asked each time: it may change while the server runs. */
    private readonly maxBytes: () => number,
  ) {}

  /** Whether there is room for so much more; then it is taken, until `taken` says how it went. */
  async take(namespace: string, bytes: number): Promise<boolean> {
    const room = this.#rooms.get(namespace) ?? { bytes: this.measure(namespace), underWay: 0 };
    this.#rooms.set(namespace, room);
    room.underWay += bytes;
    try {
      const kept = await room.bytes;
      if (typeof room.bytes !== "number") room.bytes = kept;
      const limit = this.maxBytes();
      if (limit === 0 || room.bytes + room.underWay <= limit) return true;
    } catch (error) {
      this.#rooms.delete(namespace);
      room.underWay -= bytes;
      throw error;
    }
    room.underWay -= bytes;
    return false;
  }

  taken(namespace: string, bytes: number, isStored: boolean): void {
    const room = this.#rooms.get(namespace);
    if (room === undefined) return;
    room.underWay -= bytes;
    if (isStored && typeof room.bytes === "number") room.bytes += bytes;
  }

  freed(namespace: string, bytes: number): void {
    const room = this.#rooms.get(namespace);
    if (typeof room?.bytes === "number") room.bytes = Math.max(0, room.bytes - bytes);
  }

  /** All of those that nothing is under way for: they are read again. */
  forget(): void {
    for (const [namespace, { underWay }] of this.#rooms) if (underWay === 0) this.#rooms.delete(namespace);
  }
}
