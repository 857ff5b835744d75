// The released hapi CLI against the released hub: what the same scenes then demand of Roost is what the original does. Run by
// `bun run test:hapi`; the name keeps it out of `bun test`.
import { describe } from "bun:test";
import { hapiDay } from "./hapi-day.ts";
import { originalServer } from "./hapi-server.ts";

describe("a day with the released hub", () => hapiDay(originalServer));
