#!/usr/bin/env bun
// argv -> command. Nothing else.
import { run } from "./commands/index.ts";

process.exitCode = await run(process.argv.slice(2));
