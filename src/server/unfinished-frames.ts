// Bounds what WebSockets have sent of frames that are not whole yet. Bun keeps those bytes, up to its own limit for each socket, and shows
// them to nobody, so the kernel is asked how many have arrived (Linux).
//
// - A socket that is not let in yet may send very little. It is looked at every few milliseconds; what arrived before the first look is in
//   doubt (its request, earlier requests on the connection, or a first burst), and is acted on only in sum and when memory has grown.
// - A socket that was let in may send one large frame. Those are looked at when memory has grown: what arrived and was not handed over is
//   their part of the memory ceiling, as is the buffer that Bun keeps of the largest frame of a socket. Large ones come in turn
//   (`frame-turns.ts`), where reading of a socket can be paused.
//
// Where the kernel cannot be asked, the number of sockets that are not let in is what bounds them (`webSocketLimit`).
import type { Logger } from "pino";
import type { Bounds } from "../limits/bounds.ts";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import type { KernelConnections, RemoteEnd } from "./connections-linux.ts";
import { FrameTurns, type LargeSender } from "./frame-turns.ts";
import type { PausedReading } from "./paused-reading.ts";

/** A WebSocket as this file needs it. */
export interface Sender {
  /** Undefined when Bun does not know: then it cannot be looked at. */
  readonly remote: RemoteEnd | undefined;
  readonly address: string;
  /** Bytes of whole messages so far, and how many messages and control frames. */
  readonly arrivedBytes: number;
  readonly arrivedFrames: number;
  /** Largest message that its endpoint takes. */
  readonly maxMessageBytes: number;
  /** What waits for it. */
  readonly queuedBytes: number;
  terminate(): void;
  close(code: number, reason: string): void;
}

export interface UnfinishedFramesParts {
  /** Undefined where the kernel cannot be asked. */
  readonly kernel: KernelConnections | undefined;
  /** Undefined where senders cannot be made to wait. */
  readonly reading?: PausedReading | undefined;
  /** Room for large frames that come at one time. Asked each time. */
  readonly roomBytes: () => number;
  readonly arriving: MemoryPieces;
  readonly bounds: Bounds;
  readonly log: Logger;
  /** Bun's own limit of one message. */
  readonly transportBytes: () => number;
  readonly residentBytes?: () => number;
}

/** What a socket may send before it is let in, after the first look; its CONNECT packet is far smaller. */
const STRANGER_BYTES = 100 * 1024;
/** What all of them together may have sent before their first look, while memory has grown by more than `ALARM_BYTES`. */
const DOUBTFUL_BYTES = 32 * 1024 * 1024;
const ALARM_BYTES = 32 * 1024 * 1024;
/** All sockets that are not let in, where nothing can be counted. */
const UNSEEN_BYTES = 96 * 1024 * 1024;
/** An honest handshake is over before. */
const FIRST_LOOK_MS = 10;
const STRANGERS_MS = 25;
const MEMBERS_MS = 50;
/** While memory has grown: in a tenth of a second a fast network brings more than the ceiling. */
const GROWING_MS = 8;
/** The search for descriptors, and a look at members, take at most one part in so many of the time. */
const SEARCH_SHARE = 10;
/** A socket that is not found so often is none that the kernel shows. */
const MAX_SEARCHES = 20;
/** What a frame costs beside its payload: its head, and a TLS record. */
const FRAME_BYTES = 64;
const REQUEST_BYTES = 8 * 1024;
/** Bun reads so much at once; it buffers a frame that did not come in one piece. */
const READ_BYTES = 512 * 1024;
/** What a larger frame has left behind is collected before the next one comes. */
const COLLECTED_BYTES = 4 * 1024 * 1024;
/** The second time, when what was in it is stored and told. */
const TWICE_COLLECTED_BYTES = 16 * 1024 * 1024;
const STORED_MS = 250;
/** After a large frame, until its socket counts as quiet: it was handled, and answered. */
const QUIET_MS = 500;
/** A WebSocket's code for it. */
const TRY_AGAIN_LATER = 1013;
/** After so much the estimate of what frames cost beside their payload begins anew. */
const REBASED_BYTES = 64 * 1024 * 1024;

interface Watched {
  readonly sender: Sender;
  fd: number | undefined;
  searches: number;
  isStranger: boolean;
  /** Bytes that had arrived, and what had been handed over of them, when it was first looked at in its present role. */
  base: { readonly received: number; readonly arrived: number; readonly frames: number } | undefined;
  /** The largest frame so far that Bun had to buffer: it keeps that buffer. */
  kept: number;
  /** At the last look. */
  unfinished: number;
  /** When the last large frame was handed over. */
  handedAt: number;
}

export class UnfinishedFrames {
  readonly #watched = new Map<Sender, Watched>();
  readonly #strangers = new Set<Watched>();
  readonly #byFd = new Map<number, Watched>();
  readonly #unfound = new Map<string, Watched>();
  readonly #resident: () => number;
  #strangersTimer: Timer | undefined;
  #membersTimer: Timer | undefined;
  #searchAfter = 0;
  /** Resident memory when nothing was wrong, as strangers and members see it. */
  readonly #calm: { strangers: number; members: number };
  /** What members had sent of frames at the last look, when that was a moment ago. */
  #heldBefore: number | undefined;
  readonly #turns: FrameTurns<Watched>;
  /** A large frame is being handled. */
  #isHandling = false;
  /** Its number. */
  #handling = 0;
  /** Frames have begun to wait. */
  #isLineNew = false;
  #hasFound = false;
  #isBlind: boolean;

  constructor(private readonly parts: UnfinishedFramesParts) {
    this.#isBlind = parts.kernel === undefined;
    this.#turns = new FrameTurns(parts.roomBytes);
    this.#resident = parts.residentBytes ?? (() => process.memoryUsage.rss());
    this.#calm = { strangers: this.#resident(), members: this.#resident() };
  }

  /** How many sockets may wait to be let in, because what they have sent cannot be seen; undefined when it can. */
  webSocketLimit(): number | undefined {
    return this.#isBlind
      ? Math.max(1, Math.floor(UNSEEN_BYTES / Math.max(1, this.parts.transportBytes())))
      : undefined;
  }

  /** A socket is open. `isStranger`: it is not let in yet. */
  opened(sender: Sender, isStranger: boolean): void {
    if (this.#isBlind || sender.remote === undefined) return;
    const watched: Watched = {
      sender,
      fd: undefined,
      searches: 0,
      isStranger,
      base: undefined,
      unfinished: 0,
      kept: 0,
      handedAt: 0,
    };
    this.#watched.set(sender, watched);
    this.#unfound.set(keyOf(sender.remote), watched);
    if (isStranger) this.#strangers.add(watched);
    this.#arm();
  }

  letIn(sender: Sender): void {
    const watched = this.#watched.get(sender);
    if (watched === undefined || !watched.isStranger) return;
    watched.isStranger = false;
    this.#strangers.delete(watched);
    this.#arm();
  }

  /** It was let in, and is a stranger again. */
  leftOut(sender: Sender): void {
    const watched = this.#watched.get(sender);
    if (watched === undefined || watched.isStranger) return;
    watched.isStranger = true;
    watched.base = undefined;
    this.#strangers.add(watched);
    this.#arm();
  }

  /** A whole message came, and is handled in this turn. */
  handed(sender: Sender, bytes: number): void {
    if (bytes <= READ_BYTES) return;
    const watched = this.#watched.get(sender);
    if (watched === undefined) return;
    watched.kept = Math.max(watched.kept, bytes);
    watched.handedAt = performance.now();
    watched.unfinished = 0;
    this.#turns.forget(watched);
    const received = this.#received(watched);
    if (received !== undefined) watched.base = baseOf(sender, received);
    this.parts.arriving.set(watched, watched.kept, () => watched.sender.terminate());
    if (bytes > COLLECTED_BYTES) this.#handle(bytes);
  }

  /** Nobody else's large frame comes until what this one takes is free. */
  #handle(bytes: number): void {
    this.#isHandling = true;
    this.#pause(this.#turns.running());
    // What others left behind does not lie beside it.
    if (bytes > TWICE_COLLECTED_BYTES) Bun.gc(true);
    const handling = ++this.#handling;
    const collect = () => {
      Bun.gc(true);
      return handling === this.#handling;
    };
    setImmediate(() => {
      if (!collect()) return;
      if (bytes <= TWICE_COLLECTED_BYTES) this.#handled();
      else later(STORED_MS, () => collect() && this.#handled());
    });
  }

  #handled(): void {
    this.#isHandling = false;
    clearTimeout(this.#membersTimer);
    this.#lookAtMembers();
  }

  closed(sender: Sender): void {
    const watched = this.#watched.get(sender);
    if (watched === undefined) return;
    this.#watched.delete(sender);
    this.#strangers.delete(watched);
    this.#forgetUnfound(watched);
    if (watched.fd !== undefined && this.#byFd.get(watched.fd) === watched) this.#byFd.delete(watched.fd);
    this.#turns.forget(watched);
    this.parts.arriving.forget(watched);
  }

  stop(): void {
    clearTimeout(this.#strangersTimer);
    clearTimeout(this.#membersTimer);
  }

  #arm(): void {
    if (this.#strangers.size > 0)
      this.#strangersTimer ??= later(FIRST_LOOK_MS, () => this.#lookAtStrangers());
    if (this.#watched.size > this.#strangers.size)
      this.#membersTimer ??= later(MEMBERS_MS, () => this.#lookAtMembers());
  }

  #lookAtStrangers(): void {
    this.#strangersTimer = undefined;
    if (this.#strangers.size === 0) return;
    this.#search([...this.#strangers].some(({ fd }) => fd === undefined));
    const doubtful: { watched: Watched; bytes: number }[] = [];
    let doubt = 0;
    for (const watched of this.#strangers) {
      const received = this.#received(watched);
      if (received === undefined) continue;
      watched.base ??= baseOf(watched.sender, received);
      if (received - watched.base.received > STRANGER_BYTES) {
        this.#end(watched, received - watched.base.received);
        continue;
      }
      const bytes = Math.min(
        watched.base.received - watched.base.arrived - REQUEST_BYTES,
        this.parts.transportBytes(),
      );
      if (bytes <= STRANGER_BYTES) continue;
      doubtful.push({ watched, bytes });
      doubt += bytes;
    }
    if (doubt < DOUBTFUL_BYTES / 2) this.#calm.strangers = this.#resident();
    else if (doubt > DOUBTFUL_BYTES && this.#hasGrown("strangers")) {
      doubtful.sort((a, b) => b.bytes - a.bytes);
      for (const { watched, bytes } of doubtful) {
        if (doubt <= DOUBTFUL_BYTES) break;
        doubt -= bytes;
        this.#end(watched, bytes);
      }
    }
    if (this.#strangers.size > 0) this.#strangersTimer = later(STRANGERS_MS, () => this.#lookAtStrangers());
  }

  #end(watched: Watched, bytes: number): void {
    this.parts.bounds.refused("anonymous-bytes", { address: watched.sender.address, bytes });
    watched.sender.terminate();
  }

  #lookAtMembers(): void {
    this.#membersTimer = undefined;
    if (this.#watched.size === this.#strangers.size) return;
    const startedAt = performance.now();
    const hasGrown = this.#hasGrown("members") || this.#turns.isBusy || this.#isHandling;
    if (hasGrown) this.#countMembers();
    else this.#heldBefore = undefined;
    const leastMs = hasGrown ? GROWING_MS : MEMBERS_MS;
    const spareMs = (performance.now() - startedAt) * SEARCH_SHARE;
    // What is coming fast is not left alone for long, whatever a look costs.
    const nextMs = Math.max(leastMs, this.#turns.isEmpty ? spareMs : Math.min(spareMs, MEMBERS_MS / 2));
    this.#membersTimer = later(nextMs, () => this.#lookAtMembers());
    if (!this.#isLineNew) return;
    this.#isLineNew = false;
    // What was done before lies in nobody's way.
    Bun.gc(true);
  }

  #countMembers(): void {
    this.#search(this.#unfound.size > this.#strangers.size);
    const senders = new Map<Watched, LargeSender>();
    for (const watched of this.#watched.values()) {
      if (watched.isStranger) continue;
      const { sender, kept } = watched;
      const unfinished = this.#unfinished(watched);
      if (unfinished > sender.maxMessageBytes + STRANGER_BYTES) {
        // Its endpoint would refuse the message when it is whole.
        sender.terminate();
        continue;
      }
      const bytes = Math.max(unfinished, kept);
      // Into the buffer that Bun keeps, it comes without a change of the sum; who was told to wait brings nothing.
      const isMoving = unfinished > watched.unfinished || this.#turns.waits(watched);
      watched.unfinished = unfinished;
      this.parts.arriving.set(watched, bytes, () => sender.terminate(), isMoving);
      if (bytes > 0 && this.#watched.has(sender))
        senders.set(watched, {
          unfinished,
          kept,
          maxBytes: sender.maxMessageBytes,
          isQuiet: () => this.#isQuiet(watched, unfinished),
        });
    }
    this.#takeTurns(senders);
    // Until the next look as much again may come as since the last.
    const held = this.parts.arriving.held();
    if (this.#heldBefore !== undefined) this.parts.arriving.expect(Math.max(0, held - this.#heldBefore));
    this.#heldBefore = this.parts.arriving.held();
    if (this.parts.arriving.held() < ALARM_BYTES) this.#calm.members = this.#resident();
  }

  #takeTurns(senders: ReadonlyMap<Watched, LargeSender>): void {
    if (this.parts.reading === undefined) return;
    const wasBusy = this.#turns.isBusy;
    const { pause, resume, end } = this.#turns.look(senders, this.#isHandling);
    for (const watched of end) this.#makeWay(watched);
    this.#pause(pause);
    const fds = resume.flatMap(({ fd }) => fd ?? []);
    if (fds.length > 0) this.parts.reading.resume(fds);
    this.#isLineNew = pause.length > 0 && !wasBusy;
  }

  #pause(watched: readonly Watched[]): void {
    const { reading } = this.parts;
    if (reading === undefined || watched.length === 0) return;
    const paused = reading.pause(watched.flatMap(({ fd }) => fd ?? []));
    const isPaused = ({ fd }: Watched) => fd !== undefined && paused.has(fd);
    this.#turns.paused(watched.filter(isPaused));
    this.#turns.unpausable(watched.filter((one) => !isPaused(one)));
  }

  /** Its client comes back, without the buffer. */
  #makeWay(watched: Watched): void {
    const { sender, kept } = watched;
    const bytes = Math.max(kept, this.#unfinished(watched));
    this.parts.bounds.refused("memory-in-flight", { part: "frames", address: sender.address, bytes });
    if (this.#isQuiet(watched, 0)) sender.close(TRY_AGAIN_LATER, "memory is short");
    else sender.terminate();
  }

  #isQuiet({ fd, handedAt, sender }: Watched, unfinished: number): boolean {
    if (unfinished > 0 || fd === undefined || performance.now() - handedAt < QUIET_MS) return false;
    return sender.queuedBytes === 0 && this.parts.kernel?.unread(fd) === 0;
  }

  /** At least what has arrived of a frame that is not whole yet, as far as that can be told. */
  #unfinished(watched: Watched): number {
    const received = this.#received(watched);
    if (received === undefined) return 0;
    const { arrivedBytes, arrivedFrames } = watched.sender;
    const base = watched.base ?? { received: 0, arrived: 0, frames: 0 };
    const since = received - base.received;
    const overhead = REQUEST_BYTES + (arrivedFrames - base.frames) * FRAME_BYTES + since / 256;
    const bytes = since - (arrivedBytes - base.arrived) - overhead;
    const isNone = bytes <= STRANGER_BYTES;
    // More than can be unfinished: the connection carried other requests before it became a WebSocket.
    const isTooMuch = bytes > this.parts.transportBytes() + STRANGER_BYTES;
    if (isTooMuch || (isNone && since > REBASED_BYTES)) watched.base = baseOf(watched.sender, received);
    return isNone || isTooMuch ? 0 : Math.floor(bytes);
  }

  #hasGrown(who: "strangers" | "members"): boolean {
    const resident = this.#resident();
    this.#calm[who] = Math.min(this.#calm[who], resident);
    return resident - this.#calm[who] > ALARM_BYTES;
  }

  #received(watched: Watched): number | undefined {
    const { fd } = watched;
    return fd === undefined ? undefined : this.parts.kernel?.bytesRead(fd);
  }

  /** Finds the descriptors of sockets that have none yet. */
  #search(isNeeded: boolean): void {
    const { kernel } = this.parts;
    const startedAt = performance.now();
    if (!isNeeded || kernel === undefined || startedAt < this.#searchAfter) return;
    for (const { fd, remoteAddress, remotePort, localPort } of kernel.list((known) =>
      this.#byFd.has(known),
    )) {
      const watched = this.#unfound.get(keyOf({ address: remoteAddress, port: remotePort, localPort }));
      if (watched === undefined) continue;
      // Of a connection that has carried a request, some bytes have arrived.
      if ((kernel.bytesRead(fd) ?? 0) === 0) this.#goBlind();
      this.#hasFound = true;
      watched.fd = fd;
      this.#byFd.set(fd, watched);
      this.#forgetUnfound(watched);
    }
    for (const watched of [...this.#unfound.values()]) {
      if (++watched.searches < MAX_SEARCHES) continue;
      this.#forgetUnfound(watched);
      if (!this.#hasFound) this.#goBlind();
    }
    const endedAt = performance.now();
    this.#searchAfter = endedAt + (endedAt - startedAt) * SEARCH_SHARE;
  }

  #forgetUnfound(watched: Watched): void {
    const { remote } = watched.sender;
    if (remote === undefined) return;
    const key = keyOf(remote);
    if (this.#unfound.get(key) === watched) this.#unfound.delete(key);
  }

  #goBlind(): void {
    if (this.#isBlind) return;
    this.#isBlind = true;
    const limit = this.webSocketLimit();
    this.parts.log.warn(
      { limit },
      "the kernel does not tell how much has arrived on a socket; few sockets may wait to be let in at one time",
    );
  }
}

const baseOf = ({ arrivedBytes, arrivedFrames }: Sender, received: number) => ({
  received,
  arrived: arrivedBytes,
  frames: arrivedFrames,
});

function keyOf({ address, port, localPort }: RemoteEnd): string {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  return `${plain.split("%")[0]}|${port}|${localPort}`;
}

function later(ms: number, work: () => void): Timer {
  return setTimeout(work, ms).unref();
}
