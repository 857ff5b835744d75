// `roost hapi web ...`: gets the app from a hub, from the released hapi, or from the npm registry where that is said; shows, renews and
// removes it. Works beside a running server, which notices by itself (HTTP contract, H1 to H5).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inWords } from "../../cli/progress.ts";
import { splitWords, takeOption, takeSwitch } from "../../cli/words.ts";
import { flagName } from "../../config/setting.ts";
import { UsageError } from "../../config/usage.ts";
import type { Program } from "../../protocol/program.ts";
import { placeOf } from "../place.ts";
import type { HapiConfig } from "../settings.ts";
import { findCli, withHubOf } from "./cli-hub.ts";
import { Copies, copiesIn, type Installed, type SourceNote } from "./copies.ts";
import { downloadCli } from "./download.ts";
import { mirror } from "./mirror.ts";
import { installed, standing } from "./standing.ts";

export const USAGE = `Usage:
  roost hapi web install                  copies HAPI's web app from the hapi on the PATH
  roost hapi web install --from URL       from a hub that runs, such as http://127.0.0.1:3006
  roost hapi web install --from-cli PATH  from another hapi
  roost hapi web install --download       from a hapi that is downloaded from the npm registry for it [--registry URL]
  roost hapi web update                   the same again, from where it came; or with the words of install
  roost hapi web status                   shows what is installed and from where
  roost hapi web remove                   removes it
Settings such as --data-dir may follow. A running server needs no restart. The app is not part of Roost: its license is AGPL-3.0-only.`;

type Way =
  | { readonly way: "hub"; readonly url: string }
  | { readonly way: "cli"; readonly path: string | undefined }
  | { readonly way: "download"; readonly registry: string | undefined };

export async function webCommand(argv: readonly string[], program: Program<HapiConfig>): Promise<number> {
  const { words, flags: all } = splitWords(argv);
  const [action = "status", ...more] = words;
  const { way, flags } = wayOf(all);
  const takesWay = action === "install" || action === "update";
  if (more.length > 0 || (way !== undefined && !takesWay)) throw new UsageError(USAGE);
  if (!takesWay && action !== "status" && action !== "remove") throw new UsageError(USAGE);
  const { config } = await program.load(flags);
  process.umask(0o077);
  const { dataDir } = config;
  if (action === "status") {
    process.stdout.write(await status(program, config));
  } else if (action === "remove") {
    using copies = new Copies(copiesIn(dataDir));
    process.stdout.write(
      copies.remove() ? "HAPI's web app is removed.\n" : "HAPI's web app is not installed.\n",
    );
  } else {
    await refuseWhereUnseen(program, config);
    const wanted = way ?? (action === "update" ? wayAgain(dataDir) : { way: "cli", path: undefined });
    using copies = new Copies(copiesIn(dataDir));
    const done = await get(wanted, copies);
    process.stdout.write(await report(done, config));
  }
  return 0;
}

/** Undefined: none was said. @throws UsageError for two, or half of one. */
function wayOf(all: readonly string[]): { readonly way: Way | undefined; readonly flags: readonly string[] } {
  const { value: url, rest: some } = takeOption(all, "--from");
  const { value: path, rest: fewer } = takeOption(some, "--from-cli");
  const { value: registry, rest } = takeOption(fewer, "--registry");
  const { on: isDownload, flags } = takeSwitch(rest, "--download");
  const said = [url !== undefined, path !== undefined, isDownload].filter(Boolean).length;
  const isHalf = url === "" || path === "" || registry === "" || (registry !== undefined && !isDownload);
  if (said > 1 || isHalf) throw new UsageError(USAGE);
  if (url !== undefined) return { way: { way: "hub", url }, flags };
  if (path !== undefined) return { way: { way: "cli", path }, flags };
  return { way: isDownload ? { way: "download", registry } : undefined, flags };
}

/** @throws Error with a sentence: where the way is unknown, and for a download, which is never made unasked. */
function wayAgain(dataDir: string): Way {
  const stands = installed(dataDir);
  if (stands === undefined)
    throw new Error("HAPI's web app is not installed. Install it first: roost hapi web install.");
  const { note } = stands;
  if (note?.way === "hub") return { way: "hub", url: note.from };
  if (note?.way === "cli") return { way: "cli", path: note.from };
  if (note?.way === "download")
    throw new Error(
      "It was downloaded, and nothing is downloaded unasked: roost hapi web update --download.",
    );
  throw new Error("Nobody knows any more where it came from: roost hapi web install.");
}

/** Before anything is fetched. @throws Error with a sentence when no browser could show what would be installed. */
async function refuseWhereUnseen(program: Program<HapiConfig>, config: HapiConfig): Promise<void> {
  const { hapiWebDir, hapiWebPort } = config;
  if (hapiWebDir !== undefined)
    throw new Error(
      `The web app in ${hapiWebDir} is served (${flagName("hapiWebDir")}), and an installed one would not be. Take that setting away first.`,
    );
  const other = await otherAtRoot(program, config);
  if (other !== undefined && hapiWebPort === undefined && placeOf(config).inEffect.listener === undefined)
    throw new Error(
      `The web app of ${other.name} in ${other.folder} is at the root of this server, and two cannot share an origin: HAPI's takes over / in every browser that has opened it. Give HAPI's a port of its own with ${flagName("hapiWebPort")}, for the server and for this command.`,
    );
}

async function otherAtRoot(program: Program<HapiConfig>, config: HapiConfig) {
  for (const protocol of program.on(config)) {
    const folder = protocol.name === "hapi" ? undefined : await protocol.webAppAtRoot?.(config);
    if (folder !== undefined) return { name: protocol.name, folder };
  }
  return undefined;
}

async function get(wanted: Way, copies: Copies): Promise<Installed> {
  if (wanted.way === "hub") {
    const files = await mirror(wanted.url);
    return copies.install(files, { way: "hub", from: new URL(wanted.url).origin });
  }
  if (wanted.way === "cli") {
    const path = findCli(wanted.path);
    return withHubOf(path, async ({ url, version }) =>
      copies.install(await mirror(url), { way: "cli", from: path, version }),
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "roost-hapi-cli-"));
  try {
    const { executable, name } = await downloadCli(folder, {
      ...(wanted.registry !== undefined && { registry: wanted.registry }),
    });
    return await withHubOf(executable, async ({ url, version }) =>
      copies.install(await mirror(url), { way: "download", from: name, version }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Half a sentence: "from ..., 2026-11-28, 150 files, 9.3 MB". */
export function fromWhere({ from, version, at, files, bytes }: SourceNote): string {
  const ofVersion = version === undefined ? "" : ` (${version})`;
  return `from ${from}${ofVersion}, ${at.slice(0, 10)}, ${files} files, ${inWords(bytes)}`;
}

async function report({ isNew, note, folder }: Installed, config: HapiConfig): Promise<string> {
  const what = isNew ? "HAPI's web app is installed" : "HAPI's web app was already the same";
  return `${what}: ${fromWhere(note)}.
It is in ${folder}. Its license is ${note.license}; its source is at ${note.source}.
${whereServed(config)}
`;
}

function whereServed(config: HapiConfig): string {
  if (config.hapiWebPort !== undefined)
    return `A server with ${flagName("hapiWebPort")} ${config.hapiWebPort} serves it at that port, at once.`;
  return "A server on this data folder with HAPI on serves it at its root, at once.";
}

async function status(program: Program<HapiConfig>, config: HapiConfig): Promise<string> {
  const stands = standing(config);
  if (stands === undefined) return "HAPI's web app is not installed: roost hapi web install.\n";
  const { folder, note, files } = stands;
  const other = await otherAtRoot(program, config);
  const isHidden =
    other !== undefined &&
    config.hapiWebPort === undefined &&
    placeOf(config).inEffect.listener === undefined;
  const lines = [
    note === undefined
      ? `HAPI's web app is the one in ${folder}, ${files} files.`
      : `HAPI's web app is installed: ${fromWhere(note)}.\nIt is in ${folder}. Its license is ${note.license}; its source is at ${note.source}.`,
    ...(note !== undefined && note.files !== files
      ? [`Only ${files} of its ${note.files} files are there: roost hapi web update.`]
      : []),
    isHidden
      ? `It is not served: the web app of ${other.name} is at the root. ${flagName("hapiWebPort")} gives it a port of its own.`
      : whereServed(config),
  ];
  return `${lines.join("\n")}\n`;
}
