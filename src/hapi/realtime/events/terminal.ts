// What a CLI tells of its terminals, and of the agent's own screen that pages may watch.
import { z } from "zod";
import { type CliEvent, cliEvent } from "../connection.ts";
import { id } from "./shapes.ts";

const which = { sessionId: id, terminalId: id };

const ready = cliEvent("terminal:ready", {
  schema: z.object(which),
  handle: ({ terminals, socket }, told) => terminals.ready(socket, told),
});

const output = cliEvent("terminal:output", {
  schema: z.object({ ...which, data: z.string() }),
  handle: ({ terminals, socket }, told) => terminals.output(socket, told),
});

const exit = cliEvent("terminal:exit", {
  schema: z.object({ ...which, code: z.number().int().nullable(), signal: z.string().nullable() }),
  handle: ({ terminals, socket }, told) => terminals.exit(socket, told),
});

const error = cliEvent("terminal:error", {
  schema: z.object({ ...which, message: z.string() }),
  handle: ({ terminals, socket }, told) => terminals.failed(socket, told),
});

const screen = cliEvent("agent-terminal:output", {
  schema: z.object({ ...which, data: z.string() }),
  handle: ({ mirror, socket }, told) => mirror.output(socket, told),
});

export const terminalEvents: readonly CliEvent[] = [ready, output, exit, error, screen];
