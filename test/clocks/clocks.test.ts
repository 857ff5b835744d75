// A clock that is moved, by seconds, a day or a year, in either direction. Its tests mostly wait for what servers do by themselves: all of
// them run at once, those that wait longest first.
import { setDefaultTimeout } from "bun:test";

// Those that wait for their turn wait within it.
setDefaultTimeout(600_000);

await import("./presence.ts");
await import("./retention.ts");
await import("./backups.ts");
await import("./instrument.ts");
await import("./tokens.ts");
