// Releases of the happy CLI, unmodified, as people get them from npm: each installed once into a cache folder. Only the agent is ours:
// where a release brings Claude Code itself, which needs its maker's servers, a stand-in runs the program that HAPPY_CLAUDE_PATH names.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

export interface HappyRelease {
  /** Of the package: it was renamed once. */
  readonly name: "happy" | "happy-coder";
  readonly version: string;
}

export const currentRelease: HappyRelease = { name: "happy", version: "1.2.5" };

/** What npm still has and people may still run. */
export const olderReleases: readonly HappyRelease[] = [
  { name: "happy", version: "1.2.0" },
  { name: "happy-coder", version: "0.13.0" },
  { name: "happy-coder", version: "0.11.2" },
];

const manifest = z.object({ version: z.string() });

/** @returns the folder of the installed package. Its native helpers are left out: the tests use none of them. */
export async function installRelease({ name, version }: HappyRelease): Promise<string> {
  await requireNode();
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "roost", "clients");
  const target = join(cache, `${name}-${version}-tiny`);
  const inside = (folder: string) => join(folder, "node_modules", name);
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true });
    // Built aside and renamed: a run that is cut off leaves no half of an installation under the final name.
    const aside = mkdtempSync(join(cache, ".installing-"));
    const command = ["npm", "install", `${name}@${version}`, "--prefix", aside];
    const quiet = ["--no-audit", "--no-fund", "--no-progress", "--loglevel=error"];
    const npm = Bun.spawn([...command, "--ignore-scripts", "--omit=optional", ...quiet], {
      cwd: aside,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [code, problem] = await Promise.all([npm.exited, npm.stderr.text()]);
    if (code !== 0) {
      rmSync(aside, { recursive: true, force: true });
      throw new Error(`npm could not install ${name}@${version} (code ${code}):\n${problem}`);
    }
    standInForClaude(join(aside, "node_modules", "@anthropic-ai"));
    try {
      renameSync(aside, target);
    } catch (error) {
      rmSync(aside, { recursive: true, force: true });
      if (!existsSync(target)) throw error; // else another run was faster
    }
  }
  const found = manifest.parse(
    JSON.parse(readFileSync(join(inside(target), "package.json"), "utf8")),
  ).version;
  if (found !== version) throw new Error(`${target} holds ${name} ${found}; delete that folder.`);
  return inside(target);
}

/** An executable file that runs what HAPPY_CLAUDE_PATH names, and the same as a module. */
const SCRIPT = `#!/bin/sh\nexec "$HAPPY_CLAUDE_PATH" "$@"\n`;
const MODULE = `import { spawn } from "node:child_process";
const child = spawn(process.env.HAPPY_CLAUDE_PATH, process.argv.slice(2), { stdio: "inherit" });
child.on("exit", (code) => process.exit(code ?? 1));
process.on("SIGTERM", () => child.kill());
`;

function standInForClaude(vendor: string): void {
  // happy-coder 0.11 imports Claude Code's own program.
  if (existsSync(join(vendor, "claude-code"))) writeFileSync(join(vendor, "claude-code", "cli.js"), MODULE);
  // happy 1.x has the agent SDK look for its native program in a package of the platform, which is optional and so left out.
  if (!existsSync(join(vendor, "claude-agent-sdk"))) return;
  const name = `claude-agent-sdk-${process.platform}-${process.arch}`;
  mkdirSync(join(vendor, name), { recursive: true });
  writeFileSync(
    join(vendor, name, "package.json"),
    JSON.stringify({ name: `@anthropic-ai/${name}`, version: "0.0.0" }),
  );
  writeFileSync(join(vendor, name, "claude"), SCRIPT);
  chmodSync(join(vendor, name, "claude"), 0o755);
}

/** Bun can pose as `node` on the PATH; the released CLI is made for the real one. */
async function requireNode(): Promise<void> {
  const need = "The happy CLI needs Node.js 20 or newer, with npm, on the PATH.";
  if (Bun.which("node") === null || Bun.which("npm") === null) throw new Error(need);
  const probe = Bun.spawn(["node", "-p", "process.versions.bun ?? process.versions.node"]);
  const version = (await probe.stdout.text()).trim();
  if (Number.parseInt(version, 10) < 20) throw new Error(`${need} Found ${version}.`);
}
