// Compiles Roost into one executable for this platform: dist/roost-<os>-<arch>. Workers, migrations and assets are embedded.

import { mkdirSync } from "node:fs";
import { $ } from "bun";

const os = process.platform === "win32" ? "windows" : process.platform;
const target = `${os}-${process.arch}`;
const outfile = `dist/roost-${target}`;
const commit = (await $`git rev-parse --short HEAD`.nothrow().quiet().text()).trim() || "unknown";

mkdirSync("dist", { recursive: true });
const result = await Bun.build({
  entrypoints: ["src/main.ts", "src/storage/checkpoint-worker.ts"],
  compile: { outfile },
  minify: true,
  sourcemap: "linked",
  define: {
    ROOST_COMMIT: JSON.stringify(commit),
    ROOST_BUILT: JSON.stringify(new Date().toISOString()),
    "process.env.NODE_ENV": JSON.stringify("production"),
  },
});
for (const log of result.logs) console.error(log);
if (!result.success) process.exit(1);
console.log(outfile);
