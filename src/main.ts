#!/usr/bin/env bun
// argv -> command. Nothing else.
import { run } from "./commands/index.ts";
import { program } from "./program.ts";

// Said outright: a thread or handle that lingers must not keep a stopped server's process alive.
process.exit(await run(process.argv.slice(2), program));
