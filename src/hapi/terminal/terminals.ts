// Terminals: each is a PTY in one CLI process, on one socket, and at most one page looks at it (hapi-socket 13 and 18.4).
//
// - A page owns the terminal that it made or took over; nobody else writes to it. When the page goes, the terminal stays, detached, and
//   any page of the namespace may take it over, with what it has put out before.
// - The CLI's `error` keeps the terminal until its `exit`: the CLI sends both. One that failed holds no place meanwhile.
// - When a session's places are taken, what has failed goes first, then what has been detached longest: nobody is locked out by pages
//   that are gone.
// - What is kept for replay is bounded for each terminal and for all, and counts as memory.
import type { MemoryPieces } from "../../limits/memory-pieces.ts";
import { PastOutput } from "./past-output.ts";

/** A socket of either side, as terminals need it. */
export interface TerminalPeer {
  readonly id: string;
  readonly connected: boolean;
  emit(event: string, payload: unknown): unknown;
}

export interface TerminalsParts {
  readonly maxTerminals: number;
  readonly idleMs: number;
  readonly isSessionActive: (namespace: string, sessionId: string) => boolean;
  /** The CLI that opens terminals of a session, of the same namespace. */
  readonly cliOf: (sessionId: string) => TerminalPeer | undefined;
  /** What is kept for replay, as memory of the whole server. */
  readonly pieces: MemoryPieces;
  /** Of one terminal, and of all together. */
  readonly maxReplayBytes?: number;
  readonly maxReplayBytesInAll?: number;
  readonly now?: () => number;
}

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** How a CLI names a terminal. */
export interface TerminalOfCli {
  readonly sessionId: string;
  readonly terminalId: string;
}

interface Terminal extends TerminalOfCli {
  readonly namespace: string;
  readonly cli: TerminalPeer;
  /** Undefined: detached, or never given away. */
  page: TerminalPeer | undefined;
  /** Of the monotonic clock. */
  detachedAt: number;
  hasFailed: boolean;
  readonly past: PastOutput;
  readonly idle: Timer;
}

const REPLAY_BYTES = 256 * 1024;
const REPLAY_BYTES_IN_ALL = 32 * 1024 * 1024;

export class Terminals {
  /** By namespace and id: an id is one terminal's in its namespace. */
  readonly #all = new Map<string, Terminal>();
  readonly #bySession = new Map<string, Set<Terminal>>();
  readonly #byPage = new Map<TerminalPeer, Set<Terminal>>();
  readonly #byCli = new Map<TerminalPeer, Set<Terminal>>();

  constructor(private readonly parts: TerminalsParts) {}

  get size(): number {
    return this.#all.size;
  }

  create(page: TerminalPeer, namespace: string, wish: TerminalOfCli & TerminalSize): void {
    const { terminalId, sessionId } = wish;
    const refuse = (message: string) => page.emit("terminal:error", { terminalId, message });
    const { maxTerminals, isSessionActive, cliOf } = this.parts;
    if (!isSessionActive(namespace, sessionId)) return void refuse("Session is inactive or unavailable.");
    const known = this.#all.get(keyOf(namespace, terminalId));
    const own = known?.sessionId === sessionId ? known : undefined;
    const isOwner = own !== undefined && own.page === page;
    if (!isOwner && this.#owned(page) >= maxTerminals)
      return void refuse(`Too many terminals open (max ${maxTerminals}).`);
    const isFull = own === undefined && (this.#bySession.get(sessionId)?.size ?? 0) >= maxTerminals;
    const goes = isFull ? this.#dispensable(sessionId) : undefined;
    if (isFull && goes === undefined)
      return void refuse(`Too many terminals open for this session (max ${maxTerminals}).`);
    const cli = own?.cli ?? cliOf(sessionId);
    if (cli === undefined) return void refuse("CLI is not connected for this session.");
    if (own === undefined && known !== undefined) return void refuse("Terminal ID is already in use.");
    if (goes !== undefined) this.#end(goes);
    const terminal = own ?? this.#open(namespace, wish, cli);
    this.#give(terminal, page);
    this.#stirred(terminal);
    terminal.hasFailed = false;
    cli.emit("terminal:open", { sessionId, terminalId, cols: wish.cols, rows: wish.rows });
    // Who has it already has seen what it put out.
    if (own === undefined || isOwner) return;
    const data = terminal.past.text();
    if (data !== "") page.emit("terminal:output", { terminalId, data });
  }

  write(
    page: TerminalPeer,
    namespace: string,
    { terminalId, data }: { terminalId: string; data: string },
  ): void {
    this.#asOwner(page, namespace, terminalId, "terminal:write", { data });
  }

  resize(
    page: TerminalPeer,
    namespace: string,
    { terminalId, cols, rows }: TerminalSize & { terminalId: string },
  ): void {
    this.#asOwner(page, namespace, terminalId, "terminal:resize", { cols, rows });
  }

  close(page: TerminalPeer, namespace: string, { terminalId }: { terminalId: string }): void {
    const terminal = this.#all.get(keyOf(namespace, terminalId));
    if (terminal === undefined || terminal.page !== page) return;
    this.#end(terminal);
  }

  /** The page is gone. */
  pageLeft(page: TerminalPeer): void {
    const detachedAt = this.#now();
    for (const terminal of this.#byPage.get(page) ?? []) {
      terminal.page = undefined;
      terminal.detachedAt = detachedAt;
    }
    this.#byPage.delete(page);
  }

  ready(cli: TerminalPeer, told: TerminalOfCli): void {
    const terminal = this.#of(cli, told);
    if (terminal === undefined) return;
    terminal.hasFailed = false;
    this.#stirred(terminal);
    terminal.page?.emit("terminal:ready", told);
  }

  output(cli: TerminalPeer, told: TerminalOfCli & { readonly data: string }): void {
    const terminal = this.#of(cli, told);
    if (terminal === undefined) return;
    terminal.hasFailed = false;
    this.#stirred(terminal);
    this.#keep(terminal, told.data);
    terminal.page?.emit("terminal:output", told);
  }

  failed(cli: TerminalPeer, told: TerminalOfCli & { readonly message: string }): void {
    const terminal = this.#of(cli, told);
    if (terminal === undefined) return;
    terminal.hasFailed = true;
    terminal.page?.emit("terminal:error", told);
  }

  exit(
    cli: TerminalPeer,
    told: TerminalOfCli & { readonly code: number | null; readonly signal: string | null },
  ): void {
    const terminal = this.#of(cli, told);
    if (terminal === undefined) return;
    this.#remove(terminal);
    terminal.page?.emit("terminal:exit", told);
  }

  /** The CLI's socket is gone, and its PTYs with it. */
  cliLeft(cli: TerminalPeer): void {
    for (const terminal of [...(this.#byCli.get(cli) ?? [])]) this.#lostCli(terminal);
  }

  /** No timer is left behind. */
  stop(): void {
    for (const terminal of [...this.#all.values()]) this.#remove(terminal);
  }

  #open(namespace: string, { sessionId, terminalId }: TerminalOfCli, cli: TerminalPeer): Terminal {
    const terminal: Terminal = {
      namespace,
      sessionId,
      terminalId,
      cli,
      page: undefined,
      detachedAt: 0,
      hasFailed: false,
      past: new PastOutput(this.parts.maxReplayBytes ?? REPLAY_BYTES),
      idle: setTimeout(() => this.#expired(terminal), this.parts.idleMs).unref(),
    };
    this.#all.set(keyOf(namespace, terminalId), terminal);
    addTo(this.#bySession, sessionId, terminal);
    addTo(this.#byCli, cli, terminal);
    return terminal;
  }

  /** The page that had it is told nothing (hapi-socket 18.4). */
  #give(terminal: Terminal, page: TerminalPeer): void {
    if (terminal.page !== undefined) takeFrom(this.#byPage, terminal.page, terminal);
    terminal.page = page;
    addTo(this.#byPage, page, terminal);
  }

  #remove(terminal: Terminal): void {
    const { namespace, terminalId, sessionId, cli, page, idle } = terminal;
    clearTimeout(idle);
    this.#all.delete(keyOf(namespace, terminalId));
    takeFrom(this.#bySession, sessionId, terminal);
    takeFrom(this.#byCli, cli, terminal);
    if (page !== undefined) takeFrom(this.#byPage, page, terminal);
    this.parts.pieces.forget(terminal);
  }

  /** Those that a page holds and that have not failed. */
  #owned(page: TerminalPeer): number {
    let count = 0;
    for (const { hasFailed } of this.#byPage.get(page) ?? []) if (!hasFailed) count++;
    return count;
  }

  /** Which of a session's goes for a new one; undefined when pages use them all. */
  #dispensable(sessionId: string): Terminal | undefined {
    let longest: Terminal | undefined;
    for (const terminal of this.#bySession.get(sessionId) ?? []) {
      if (terminal.hasFailed) return terminal;
      if (terminal.page !== undefined) continue;
      if (longest === undefined || terminal.detachedAt < longest.detachedAt) longest = terminal;
    }
    return longest;
  }

  #end(terminal: Terminal): void {
    this.#remove(terminal);
    const { cli, sessionId, terminalId } = terminal;
    cli.emit("terminal:close", { sessionId, terminalId });
  }

  #of(cli: TerminalPeer, { sessionId, terminalId }: TerminalOfCli): Terminal | undefined {
    for (const terminal of this.#byCli.get(cli) ?? [])
      if (terminal.terminalId === terminalId && terminal.sessionId === sessionId) return terminal;
    return undefined;
  }

  #asOwner(
    page: TerminalPeer,
    namespace: string,
    terminalId: string,
    event: string,
    told: Readonly<Record<string, unknown>>,
  ): void {
    const terminal = this.#all.get(keyOf(namespace, terminalId));
    if (terminal === undefined || terminal.page !== page) return;
    const { cli, sessionId } = terminal;
    if (cli.connected) {
      this.#stirred(terminal);
      cli.emit(event, { sessionId, terminalId, ...told });
    } else this.#lostCli(terminal);
  }

  #lostCli(terminal: Terminal): void {
    this.#remove(terminal);
    const { terminalId, page } = terminal;
    page?.emit("terminal:error", { terminalId, message: "CLI disconnected." });
  }

  #expired(terminal: Terminal): void {
    const { terminalId, page } = terminal;
    page?.emit("terminal:error", { terminalId, message: "Terminal closed due to inactivity." });
    this.#end(terminal);
  }

  #stirred({ idle }: Terminal): void {
    idle.refresh();
  }

  #keep(terminal: Terminal, data: string): void {
    const { pieces, maxReplayBytesInAll = REPLAY_BYTES_IN_ALL } = this.parts;
    const { past } = terminal;
    past.add(data);
    pieces.set(terminal, past.heldBytes, () => past.clear());
    while (pieces.held() > maxReplayBytesInAll && pieces.giveUp() > 0);
  }

  #now(): number {
    return this.parts.now?.() ?? performance.now();
  }
}

/** No two pairs have the same key, whatever characters they have. */
function keyOf(namespace: string, terminalId: string): string {
  return `${namespace.length} ${namespace}${terminalId}`;
}

function addTo<K>(sets: Map<K, Set<Terminal>>, key: K, terminal: Terminal): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(terminal));
}

function takeFrom<K>(sets: Map<K, Set<Terminal>>, key: K, terminal: Terminal): void {
  const set = sets.get(key);
  set?.delete(terminal);
  if (set?.size === 0) sets.delete(key);
}
