// The released hapi CLI against the compiled Roost: a day of somebody who comes from the released hub. Run by `bun run test:clients`; the
// name keeps it out of `bun test`.
import { describe } from "bun:test";
import { hapiDay } from "./hapi-day.ts";
import { roostServer } from "./hapi-server.ts";

describe("a day with Roost", () => hapiDay(roostServer));
