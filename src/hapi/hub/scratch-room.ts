// How many bytes the files of notes of a namespace have, so that one namespace does not fill the disk for the others. Read from the disk once
// for each namespace that uploads, then counted along; what is under way counts before it is there. Before it refuses, it looks again: a
// command beside the server may have made room. Forgotten at every sweep, because namespaces are free choice and each would cost memory for ever.

interface Room {
  bytes: Promise<number> | number;
  underWay: number;
  /** Of the last look at the disk, by the steady clock. */
  measuredAt: number;
  again?: Promise<void>;
}

/** Whoever is at the limit must not have the folder walked at each attempt. */
const AGAIN_MS = 10_000;

export interface ScratchRoomParts {
  readonly measure: (namespace: string) => Promise<number>;
  /** Asked each time: it may change while the server runs. 0 is no limit. */
  readonly maxBytes: () => number;
  readonly steady: () => number;
}

export class ScratchRoom {
  readonly #rooms = new Map<string, Room>();

  constructor(private readonly parts: ScratchRoomParts) {}

  /** Whether there is room for so much more; then it is taken, until `taken` says how it went. */
  async take(namespace: string, bytes: number): Promise<boolean> {
    const room = this.#roomOf(namespace);
    room.underWay += bytes;
    try {
      const kept = await room.bytes;
      if (typeof room.bytes !== "number") room.bytes = kept;
      if (this.#fits(room)) return true;
      if (this.parts.steady() - room.measuredAt >= AGAIN_MS)
        room.again ??= this.#again(namespace, room).finally(() => {
          delete room.again;
        });
      if (room.again !== undefined) {
        await room.again;
        if (this.#fits(room)) return true;
      }
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

  #roomOf(namespace: string): Room {
    const known = this.#rooms.get(namespace);
    if (known !== undefined) return known;
    const room = {
      bytes: this.parts.measure(namespace),
      underWay: 0,
      measuredAt: this.parts.steady(),
    };
    this.#rooms.set(namespace, room);
    return room;
  }

  #fits({ bytes, underWay }: Room): boolean {
    const limit = this.parts.maxBytes();
    return limit === 0 || (typeof bytes === "number" && bytes + underWay <= limit);
  }

  async #again(namespace: string, room: Room): Promise<void> {
    const before = room.bytes;
    room.measuredAt = this.parts.steady();
    const measured = await this.parts.measure(namespace);
    if (typeof before !== "number" || typeof room.bytes !== "number") return;
    // What came meanwhile may be in the measure or not: better twice than not at all.
    room.bytes = measured + Math.max(0, room.bytes - before);
  }
}
