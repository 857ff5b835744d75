// The released hapi CLI against the compiled Roost: a day of somebody who comes from the released hub. Run by `bun run test:clients`; the
// name keeps it out of `bun test`.
import { hasHapi } from "../hapi/roost-hub.ts";
import { needs } from "../support/needs.ts";
import { hapiDay } from "./hapi-day.ts";
import { roostServer } from "./hapi-server.ts";

needs.machine("HAPI that is on by itself", hasHapi).describe("a day with Roost", () => hapiDay(roostServer));
