// The doctor's look at a home: its files are what they should be, and nothing else has its port. Nothing is made or changed, and no
// secret is in a sentence.
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { plain, size } from "../cli/table.ts";
import { type Finding, failure, ok, problemOf, skipped, warning } from "../doctor/finding.ts";
import { isWeak, tokenProblem } from "./home/access-token.ts";
import { GIVEN } from "./home/home.ts";
import { isHubAt } from "./home/original-hub.ts";
import { checkSecretFiles } from "./home/secret-files.ts";
import { settingsPath } from "./home/settings-file.ts";
import { FOLDER, ScratchFiles } from "./hub/scratch-files.ts";
import { USUAL_PORT } from "./in-effect.ts";
import { homeOf, type Place, placeOf } from "./place.ts";
import type { HapiConfig } from "./settings.ts";

export async function* findings(config: HapiConfig): AsyncGenerator<Finding> {
  const home = homeOf(config);
  if (!existsSync(home)) {
    yield skipped("hapi-home", `There is no home ${home} yet; the first start with HAPI makes it.`);
    return;
  }
  let place: Place;
  try {
    place = placeOf(config);
    checkSecretFiles(home);
  } catch (error) {
    yield failure("hapi-home", `${problemOf(error)}.`, {
      fix: "roost restore FILE   (into an empty folder, and take the file from there)",
    });
    return;
  }
  yield homeFinding(config, place);
  yield await notesFinding(config, home);
  yield await portFinding(place);
}

function homeFinding({ hapiAccessToken: given }: HapiConfig, { home, known }: Place): Finding {
  const token = given ?? known.cliApiToken;
  const source = given === undefined ? settingsPath(home) : GIVEN;
  if (token === undefined)
    return skipped(
      "hapi-home",
      `${settingsPath(home)} holds no access token yet; the first start makes one.`,
    );
  const problem = tokenProblem(token, source);
  if (problem !== undefined)
    return failure("hapi-home", problem, { fix: "Remove the colon and what follows." });
  if (isWeak(token))
    return warning("hapi-home", `The access token of ${source} can be guessed.`, {
      fix: `Stop Roost, remove "cliApiToken" from ${settingsPath(home)}, start it again, and give the new one to every machine.`,
    });
  const left = readdirSync(home).filter((name) => name.includes(".tmp"));
  if (left.length > 0)
    return warning(
      "hapi-home",
      `A write of settings was cut short in ${home}: ${left.join(", ")} was left.`,
      {
        fix: `rm ${left.map((name) => join(home, name)).join(" ")}`,
      },
    );
  return ok("hapi-home", `The home ${home} has its token and its keys.`);
}

const NEAR = 0.9;

/** Files of notes: what a namespace has of its limit, and what no backup takes. */
async function notesFinding({ hapiMaxNoteFileBytes: limit }: HapiConfig, home: string): Promise<Finding> {
  const folder = join(home, FOLDER);
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink())
    return failure("hapi-notes", `${folder} is a link: files of notes are neither stored nor in backups.`, {
      fix: `Move what it leads to in its place, or name another home with --hapi-home.`,
    });
  let bytes: Map<string, number>;
  try {
    bytes = await new ScratchFiles({ home }).bytesByNamespace();
  } catch (error) {
    return failure("hapi-notes", `${folder} cannot be read: ${problemOf(error)}.`, {
      fix: `chown -R USER ${folder}   (the user that runs Roost)`,
    });
  }
  const full = [...bytes].filter(([, size]) => limit > 0 && size >= NEAR * limit);
  const all = [...bytes.values()].reduce((sum, size) => sum + size, 0);
  if (full.length > 0)
    return warning(
      "hapi-notes",
      `The files of notes of ${full.map(([name]) => plain(name)).join(", ")} are near their limit of ${size(limit)}: beyond it uploads are refused.`,
      { fix: "Delete notes, or raise it: --hapi-max-note-file-bytes BYTES." },
    );
  return bytes.size === 0
    ? skipped("hapi-notes", "No note has a file.")
    : ok(
        "hapi-notes",
        `The files of notes have ${size(all)}, in ${bytes.size} ${bytes.size === 1 ? "namespace" : "namespaces"}.`,
      );
}

/** A hub that has the port is Roost itself, or one that should not run any more. */
async function portFinding({ known, inEffect: { listener } }: Place): Promise<Finding> {
  const port = listener?.port ?? known.listenPort ?? USUAL_PORT;
  const host = listener?.host ?? known.listenHost ?? "127.0.0.1";
  if (!(await isHubAt(host, port)))
    return skipped("hapi-port", `No HAPI hub answers at port ${port} of ${host}.`);
  if (listener !== undefined) return ok("hapi-port", `A HAPI hub answers at port ${port} of ${host}.`);
  return warning(
    "hapi-port",
    `A HAPI hub answers at port ${port} of ${host}, and it is not this server's port.`,
    {
      fix: `Stop it, and start Roost with --hapi-port ${port}: a CLI without settings looks there.`,
    },
  );
}
