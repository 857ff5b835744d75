// Large frames of sockets that were let in arrive in turn: as many at one time as the memory for frames holds, the others wait on their
// senders' side. Bun keeps the buffer of the largest frame of each socket until the socket closes. So a socket whose buffer is in the way
// is ended, quiet ones first: its client comes back without the buffer, and sends what was not acknowledged again.
//
// - First come, first served. Whoever is slow holds nobody up, and what it holds is all that counts of it.
// - A socket whose frame waits, or is coming, is ended only for somebody who came before it.

/** What is known of one socket at a look. */
export interface LargeSender {
  /** Bytes that have arrived of a frame that is not whole. */
  readonly unfinished: number;
  /** What Bun keeps for it. */
  readonly kept: number;
  /** Of one frame. */
  readonly maxBytes: number;
  /** Everything it sent was handled a while ago, and it took all that was for it. */
  isQuiet(): boolean;
}

export interface FrameDecision<S> {
  readonly pause: S[];
  readonly resume: S[];
  readonly end: S[];
}

interface Frame {
  readonly sender: LargeSender;
  readonly since: number;
  lookedAt: number;
  bytes: number;
  movedAt: number;
  /** Bytes of a millisecond. */
  rate: number;
  /** Since when. */
  waits: number | undefined;
  /** It has waited as long as anybody may: nothing makes it wait again. */
  goesOn: boolean;
}

const MIB = 1024 * 1024;
/** A smaller one takes no turn. */
export const LARGE_FRAME_BYTES = MIB;
/** How far a frame is foreseen at its pace, and how fast a pace is forgotten: senders come in bursts. */
const AHEAD_MS = 1_000;
/** Of the room, for frames that come now: what handling one takes is several times its size. */
const COMING_SHARE = 0.5;
/** Beside the room for frames: no more waits unfinished. */
const OVERFLOW = 1.5;
/** So long the first in line waits for others to become quiet. */
const PATIENCE_MS = 1_500;
/** After this a frame has stopped. */
const STALLED_MS = 5_000;
/** Who waits cannot answer a ping, for which clients have 20 s. Then the first in line goes on, and others come again. */
const MAX_WAIT_MS = 17_000;

export class FrameTurns<S extends object> {
  readonly #known = new Map<S, Frame>();

  constructor(
    /** Asked each time. */
    private readonly roomBytes: () => number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether it is paused, as far as was decided here. */
  waits(key: S): boolean {
    return this.#known.get(key)?.waits !== undefined;
  }

  /** Those whose frames are coming now, and may be made to wait. */
  running(): S[] {
    return [...this.#known].flatMap(([key, { waits, goesOn }]) =>
      waits === undefined && !goesOn ? [key] : [],
    );
  }

  /** No large frame is coming or waiting. */
  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** Some are waiting. */
  get isBusy(): boolean {
    for (const { waits } of this.#known.values()) if (waits !== undefined) return true;
    return false;
  }

  /** They are paused at once. */
  paused(keys: readonly S[]): void {
    for (const key of keys) {
      const frame = this.#known.get(key);
      if (frame !== undefined) frame.waits ??= this.now();
    }
  }

  /** They could not be paused. */
  unpausable(keys: readonly S[]): void {
    for (const key of keys) {
      const frame = this.#known.get(key);
      if (frame !== undefined) frame.waits = undefined;
    }
  }

  /** Its frame is whole, or it is gone. */
  forget(key: S): void {
    this.#known.delete(key);
  }

  /**
   * `isHandling`: a frame is being handled, and nobody else's comes meanwhile; but those of one that sends faster than they are handled keep
   * nobody longer than anything else does.
   */
  look(senders: ReadonlyMap<S, LargeSender>, isHandling = false): FrameDecision<S> {
    const now = this.now();
    const decision: FrameDecision<S> = { pause: [], resume: [], end: [] };
    let held = 0;
    for (const [key, sender] of senders) {
      held += holds(sender);
      this.#note(key, sender, now, decision);
    }
    for (const key of this.#known.keys()) if (!senders.has(key)) this.#known.delete(key);
    if (isHandling && !this.#isOverdue(now)) {
      for (const [key, frame] of this.#known) {
        if (frame.goesOn) continue;
        if (frame.waits === undefined) decision.pause.push(key);
        frame.waits ??= now;
      }
      return decision;
    }
    const room = this.roomBytes();
    const line = [...this.#known].sort(([, a], [, b]) => a.since - b.since);
    const ended = new Set<S>();
    const end = (key: S, sender: LargeSender) => {
      ended.add(key);
      this.#known.delete(key);
      decision.end.push(key);
      held -= holds(sender);
    };
    const quiet = [...senders]
      .filter(([key, { kept }]) => kept > 0 && !this.#known.has(key))
      .sort(([, a], [, b]) => b.kept - a.kept);
    const makeRoom = (bytes: number, isOut: (sender: LargeSender) => boolean, from: typeof quiet) => {
      for (const [key, sender] of from)
        if (held + bytes > room && !ended.has(key) && isOut(sender)) end(key, sender);
    };
    let coming = 0;
    let isFirst = true;
    for (const [at, [key, frame]] of line.entries()) {
      if (ended.has(key)) continue;
      const { sender } = frame;
      const expected = this.#expected(frame);
      const bytes = Math.max(0, expected - holds(sender));
      if (isFirst && held + bytes > room) {
        makeRoom(bytes, (one) => one.isQuiet(), quiet);
        const waited = frame.waits === undefined ? 0 : now - frame.waits;
        const behind = line.slice(at + 1).map(([one, { sender: its }]) => [one, its] as [S, LargeSender]);
        behind.sort(([, a], [, b]) => holds(b) - holds(a));
        if (waited > PATIENCE_MS) makeRoom(bytes, ({ kept }) => kept > LARGE_FRAME_BYTES, behind);
        if (waited > PATIENCE_MS) makeRoom(bytes, () => true, this.#stalled(line, now));
      }
      const keepsRoom = [...senders].some(
        ([one, its]) => one !== key && !ended.has(one) && its.kept > LARGE_FRAME_BYTES,
      );
      const isDue = frame.waits !== undefined && now - frame.waits > MAX_WAIT_MS;
      const fits = held + bytes <= room && (isFirst || coming + expected <= room * COMING_SHARE);
      if (fits || frame.goesOn || (isFirst && (isDue || !keepsRoom))) {
        frame.goesOn ||= isDue;
        held += bytes;
        coming += expected;
        if (frame.waits !== undefined) decision.resume.push(key);
        frame.waits = undefined;
      } else if (isDue) end(key, sender);
      else {
        // Nobody of its size goes before it.
        if (isFirst) coming += expected;
        if (frame.waits === undefined) decision.pause.push(key);
        frame.waits ??= now;
      }
      // Whoever has stopped is passed by.
      if (now - frame.movedAt < STALLED_MS) isFirst = false;
    }
    makeRoom(0, (one) => one.isQuiet(), quiet);
    for (const [key, { sender, waits }] of line.reverse())
      if (held > room * OVERFLOW && waits !== undefined && !ended.has(key)) end(key, sender);
    return { ...decision, pause: decision.pause.filter((key) => !ended.has(key)) };
  }

  #isOverdue(now: number): boolean {
    for (const { waits } of this.#known.values())
      if (waits !== undefined && now - waits > MAX_WAIT_MS) return true;
    return false;
  }

  #note(key: S, sender: LargeSender, now: number, { resume }: FrameDecision<S>): void {
    const { unfinished: bytes } = sender;
    const known = this.#known.get(key);
    if (bytes <= LARGE_FRAME_BYTES) {
      if (known?.waits !== undefined) resume.push(key);
      this.#known.delete(key);
    } else if (known === undefined) {
      const looked = { since: now, lookedAt: now, movedAt: now, goesOn: false };
      // Until it has shown that it is slow.
      const rate = sender.maxBytes / AHEAD_MS;
      this.#known.set(key, { ...looked, sender, bytes, rate, waits: undefined });
    } else {
      const ms = Math.max(1, now - known.lookedAt);
      const rate = Math.max(0, bytes - known.bytes) / ms;
      const isComing = known.waits === undefined;
      this.#known.set(key, {
        ...known,
        sender,
        bytes,
        lookedAt: now,
        rate: isComing ? Math.max(rate, known.rate * 0.5 ** (ms / AHEAD_MS)) : known.rate,
        movedAt: isComing && bytes <= known.bytes ? known.movedAt : now,
      });
    }
  }

  /** Of the whole frame. */
  #expected({ sender, rate, waits }: Frame): number {
    const { maxBytes, unfinished } = sender;
    const most = waits === undefined ? unfinished + rate * AHEAD_MS : maxBytes;
    return Math.min(maxBytes, most);
  }

  #stalled(line: readonly [S, Frame][], now: number): [S, LargeSender][] {
    return line
      .filter(([, { waits, movedAt }]) => waits === undefined && now - movedAt > STALLED_MS)
      .map(([key, { sender }]) => [key, sender] as [S, LargeSender])
      .sort(([, a], [, b]) => holds(b) - holds(a));
  }
}

const holds = ({ unfinished, kept }: LargeSender): number => Math.max(unfinished, kept);
