// `roost service install|print|uninstall`: Roost as a hardened systemd service that starts with the machine.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "../cli/command.ts";
import { takeOption } from "../cli/words.ts";
import { flagName } from "../config/setting.ts";
import { UsageError } from "../config/usage.ts";
import { type Child, startChild } from "../ops/child-process.ts";
import type { Program } from "../protocol/program.ts";
import { CONFIG_TEMPLATE, SERVICE_PATHS, serviceUnit } from "./service-unit.ts";

const USAGE =
  'Say what to do: "roost service install", "roost service print" or "roost service uninstall". Settings such as --port may follow.';

export const service: Command<Program> = {
  about: "run as a systemd service: service install|print|uninstall; settings such as --port may follow",
  run: async ([action, ...words], program) => {
    if (action === "print") process.stdout.write(unitFor(program, words));
    else if (action === "install") await install(program, words);
    else if (action === "uninstall") await uninstall(words);
    else throw new UsageError(USAGE);
    return 0;
  },
};

/** @throws UsageError for flags that are no settings, not usable, or not for a file that everybody can read. */
function unitFor(program: Program, flags: readonly string[]): string {
  const raw = program.readFlags(flags);
  const { config } = program.parse(raw);
  for (const name of Object.keys(raw)) {
    if (program.catalogue.settings[name]?.secret)
      throw new UsageError(
        `${flagName(name)} is a secret: put it into ${SERVICE_PATHS.secrets}, not on a command line.`,
      );
    if (name === "dataDir" || name === "config")
      throw new UsageError(
        `${flagName(name)} is fixed for the service: ${name === "config" ? SERVICE_PATHS.config : SERVICE_PATHS.data}.`,
      );
  }
  return serviceUnit({ flags, privilegedPort: config.port > 0 && config.port < 1024 });
}

async function install(program: Program, words: readonly string[]): Promise<void> {
  const { at, root, flags } = target(words);
  const unit = unitFor(program, flags);
  if (!Bun.isStandaloneExecutable)
    throw new Error(
      'Only the compiled file can be installed: build it with "bun run build.ts" and run that.',
    );
  forSystemd(root);
  const { executable, config, unit: unitPath } = SERVICE_PATHS;
  copyExecutable(at(executable));
  mkdirSync(dirname(at(config)), { recursive: true, mode: 0o755 });
  // Settings that somebody has made are theirs.
  if (!existsSync(at(config))) writeFileSync(at(config), CONFIG_TEMPLATE, { mode: 0o644 });
  mkdirSync(dirname(at(unitPath)), { recursive: true });
  writeFileSync(at(unitPath), unit, { mode: 0o644 });
  if (root !== undefined) await systemctl(`--root=${root}`, "enable", "roost.service");
  else {
    await systemctl("daemon-reload");
    await systemctl("enable", "roost.service");
    // Started or, when an older one runs, replaced; returns when the server answers.
    await systemctl("restart", "roost.service");
  }
  say(
    root === undefined
      ? "Roost runs and will start with the machine."
      : `Roost will start with the machine in ${root}.`,
    `Settings: ${config}. Data: ${SERVICE_PATHS.data}. Log: journalctl -u roost`,
  );
}

async function uninstall(words: readonly string[]): Promise<void> {
  const { at, root, flags } = target(words);
  if (flags.length > 0) throw new UsageError(`Unexpected word "${flags[0]}".`);
  forSystemd(root);
  const { executable, unit } = SERVICE_PATHS;
  if (!existsSync(at(unit))) throw new Error(`There is no service: ${at(unit)} is not there.`);
  if (root !== undefined) await systemctl(`--root=${root}`, "disable", "roost.service");
  else await systemctl("disable", "--now", "roost.service");
  rmSync(at(unit));
  rmSync(at(executable), { force: true });
  if (root === undefined) await systemctl("daemon-reload");
  say(
    "The service is gone.",
    `Its data in ${SERVICE_PATHS.data} and its settings in ${dirname(SERVICE_PATHS.config)} are still there.`,
  );
}

/** `--root DIR` prepares another file system, such as an image that is being made, and starts nothing. */
function target(words: readonly string[]) {
  const { value: root, rest: flags } = takeOption(words, "--root");
  if (root !== undefined && !existsSync(root))
    throw new UsageError("--root needs the folder of a file system that is there.");
  return {
    root: root === undefined ? undefined : realpathSync(root),
    flags,
    at: (path: string) => (root === undefined ? path : join(realpathSync(root), path)),
  };
}

/** @throws Error when this is no machine, or no user, that can do it. */
function forSystemd(root: string | undefined): void {
  if (process.platform !== "linux") throw new Error("Services are made for systemd, which is on Linux only.");
  if (root === undefined && !existsSync("/run/systemd/system"))
    throw new Error(
      'This machine was not started by systemd. "roost service print" shows the unit for another one.',
    );
  if (root === undefined && process.getuid?.() !== 0)
    throw new Error("Only root can do that: try again with sudo.");
}

/** Renamed into place: the file of a server that runs is replaced, not overwritten. */
function copyExecutable(path: string): void {
  if (existsSync(path) && realpathSync(path) === realpathSync(process.execPath)) return;
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(process.execPath, `${path}.new`);
  chmodSync(`${path}.new`, 0o755);
  renameSync(`${path}.new`, path);
}

async function systemctl(...words: string[]): Promise<void> {
  let child: Child;
  try {
    child = startChild(["systemctl", ...words]);
  } catch {
    throw new Error("The command systemctl is not on this machine.");
  }
  const { code, errors } = await child.ended;
  if (code !== 0) throw new Error(`"systemctl ${words.join(" ")}" failed: ${errors}`);
}

function say(...lines: string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
