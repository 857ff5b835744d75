// Pages that watch the agent's own screen (hapi-socket 18.4). The CLI is told when somebody begins to look and when nobody looks any
// more; what it shows goes to those that look.
import type { TerminalPeer } from "./terminals.ts";

export interface AgentMirrorParts {
  /** Who shows a session's screen. */
  readonly cliOf: (sessionId: string) => TerminalPeer | undefined;
  /** Whether the socket is one of the session's: only those show its screen. */
  readonly isCliOf: (sessionId: string, cli: TerminalPeer) => boolean;
  /** To all pages that look at a session. */
  readonly show: (sessionId: string, event: string, payload: unknown) => void;
}

export class AgentMirror {
  readonly #pages = new Map<string, Set<TerminalPeer>>();
  readonly #watched = new Map<TerminalPeer, Set<string>>();

  constructor(private readonly parts: AgentMirrorParts) {}

  /** Whoever calls bounds how many sessions a page looks at. */
  subscribe(page: TerminalPeer, sessionId: string): void {
    const watched = this.#watched.get(page) ?? new Set();
    this.#watched.set(page, watched.add(sessionId));
    const pages = this.#pages.get(sessionId) ?? new Set();
    this.#pages.set(sessionId, pages.add(page));
    this.#tell(sessionId, "refresh");
  }

  unsubscribe(page: TerminalPeer, sessionId: string): void {
    const watched = this.#watched.get(page);
    if (watched?.delete(sessionId) !== true) return;
    if (watched.size === 0) this.#watched.delete(page);
    const pages = this.#pages.get(sessionId);
    pages?.delete(page);
    if (pages?.size !== 0) return;
    this.#pages.delete(sessionId);
    this.#tell(sessionId, "idle");
  }

  pageLeft(page: TerminalPeer): void {
    for (const sessionId of [...(this.#watched.get(page) ?? [])]) this.unsubscribe(page, sessionId);
  }

  /** A CLI that comes back does not know that pages look. */
  cliJoined(sessionId: string, cli: TerminalPeer): void {
    if (this.#pages.has(sessionId) && this.parts.cliOf(sessionId) === cli) this.#tell(sessionId, "refresh");
  }

  /** `input` and `resize` of a page, for the CLI. */
  forward(sessionId: string, what: "input" | "resize", told: Readonly<Record<string, unknown>>): void {
    this.#tell(sessionId, what, told);
  }

  output(cli: TerminalPeer, told: { readonly sessionId: string; readonly data: string }): void {
    const { sessionId } = told;
    if (this.#pages.has(sessionId) && this.parts.isCliOf(sessionId, cli))
      this.parts.show(sessionId, "agent-terminal:output", told);
  }

  #tell(sessionId: string, what: string, told: Readonly<Record<string, unknown>> = {}): void {
    this.parts.cliOf(sessionId)?.emit(`agent-terminal:${what}`, { sessionId, ...told });
  }
}
