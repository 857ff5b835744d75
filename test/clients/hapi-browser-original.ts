// HAPI's released web app in Chromium against the released hub, which serves it. Run by `bun run test:clients`.
import { needs } from "../support/needs.ts";
import { findChromium } from "./chromium.ts";
import { hapiBrowserDay } from "./hapi-browser-day.ts";
import { originalServer } from "./hapi-server.ts";

needs
  .program("chromium", findChromium)
  .describe("a day in a browser with the released hub", () => hapiBrowserDay(originalServer));
