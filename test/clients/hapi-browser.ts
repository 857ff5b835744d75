// HAPI's released web app in Chromium against the compiled Roost, into which it was installed. Run by `bun run test:clients`.
import { needs } from "../support/needs.ts";
import { findChromium } from "./chromium.ts";
import { hapiBrowserDay } from "./hapi-browser-day.ts";
import { roostServer } from "./hapi-server.ts";

needs
  .program("chromium", findChromium)
  .describe("a day in a browser with Roost", () => hapiBrowserDay(roostServer));
