// What a page may send on /terminal. There are no acknowledgements in the contract; one that is asked for is given, empty. What has not
// the shape is dropped in silence (hapi-socket 13).
import type { Logger } from "pino";
import type { Socket } from "socket.io";
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import type { AgentMirror } from "./agent-mirror.ts";
import type { Terminals } from "./terminals.ts";

const id = identifier.min(1);
/** No screen is larger; a CLI allocates what it is told. */
const MAX_CELLS = 65_535;
/** A page shows few sessions at one time. */
const MAX_WISHES = 64;
const size = {
  cols: z.number().int().min(1).max(MAX_CELLS),
  rows: z.number().int().min(1).max(MAX_CELLS),
};

export interface PageConnection {
  readonly socket: Socket;
  readonly namespace: string;
  readonly terminals: Terminals;
  readonly mirror: AgentMirror;
  /** Sessions at whose screen it wishes to look, as of its last word. */
  readonly wishes: Set<string>;
  /** Whether the page may see the session. */
  readonly isOwn: (sessionId: string) => boolean | Promise<boolean>;
  readonly log: Logger;
}

interface PageEvent {
  handle(connection: PageConnection, payload: unknown): void | Promise<void>;
}

function pageEvent<T>(
  schema: z.ZodType<T>,
  handle: (connection: PageConnection, payload: T) => void | Promise<void>,
): PageEvent {
  return {
    handle: (connection, payload) => {
      const parsed = schema.safeParse(payload);
      return parsed.success ? handle(connection, parsed.data) : undefined;
    },
  };
}

const session = z.object({ sessionId: id });

const PAGE_EVENTS: ReadonlyMap<string, PageEvent> = new Map([
  [
    "terminal:create",
    pageEvent(z.object({ sessionId: id, terminalId: id, ...size }), (page, wish) =>
      page.terminals.create(page.socket, page.namespace, wish),
    ),
  ],
  [
    "terminal:write",
    pageEvent(z.object({ terminalId: id, data: z.string() }), (page, told) =>
      page.terminals.write(page.socket, page.namespace, told),
    ),
  ],
  [
    "terminal:resize",
    pageEvent(z.object({ terminalId: id, ...size }), (page, told) =>
      page.terminals.resize(page.socket, page.namespace, told),
    ),
  ],
  [
    "terminal:close",
    pageEvent(z.object({ terminalId: id }), (page, told) =>
      page.terminals.close(page.socket, page.namespace, told),
    ),
  ],
  [
    "agent-terminal:subscribe",
    pageEvent(session, async (page, { sessionId }) => {
      if (page.wishes.size >= MAX_WISHES && !page.wishes.has(sessionId)) return;
      page.wishes.add(sessionId);
      let isOwn = false;
      try {
        isOwn = await page.isOwn(sessionId);
      } finally {
        if (!isOwn) page.wishes.delete(sessionId);
      }
      // It may have gone, or have thought better of it, meanwhile.
      if (!page.wishes.has(sessionId) || !page.socket.connected) return;
      page.mirror.subscribe(page.socket, sessionId);
      void page.socket.join(agentRoom(sessionId));
    }),
  ],
  [
    "agent-terminal:unsubscribe",
    pageEvent(session, (page, { sessionId }) => {
      page.wishes.delete(sessionId);
      page.mirror.unsubscribe(page.socket, sessionId);
      void page.socket.leave(agentRoom(sessionId));
    }),
  ],
  [
    "agent-terminal:resize",
    pageEvent(z.object({ sessionId: id, ...size }), async (page, { sessionId, cols, rows }) => {
      if (await page.isOwn(sessionId)) page.mirror.forward(sessionId, "resize", { cols, rows });
    }),
  ],
  [
    "agent-terminal:input",
    pageEvent(z.object({ sessionId: id, data: z.string() }), async (page, { sessionId, data }) => {
      if (await page.isOwn(sessionId)) page.mirror.forward(sessionId, "input", { data });
    }),
  ],
]);

/** The room of pages that look at a session's own screen. */
export const agentRoom = (sessionId: string): string => `agent-session:${sessionId}`;

export function attachPage(page: PageConnection): void {
  page.socket.onAny((event: unknown, ...args: unknown[]) => {
    const known = typeof event === "string" ? PAGE_EVENTS.get(event) : undefined;
    const payload = typeof args[0] === "function" ? undefined : args[0];
    handled(page, known, payload)
      .catch((error: unknown) => page.log.error({ err: error, event }, "a terminal event failed"))
      .finally(() => acknowledge(args.at(-1)));
  });
}

/** Also what is thrown at once rejects. */
async function handled(page: PageConnection, event: PageEvent | undefined, payload: unknown): Promise<void> {
  await event?.handle(page, payload);
}

function acknowledge(last: unknown): void {
  if (typeof last === "function") last();
}
