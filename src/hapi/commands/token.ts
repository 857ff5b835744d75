// `roost hapi token`: the access token, for whoever may read the file that it stands in, on standard output and nowhere else. Where others
// may read that file the token is not shown, because it is no secret any more.
import { statSync } from "node:fs";
import { splitWords, takeSwitch } from "../../cli/words.ts";
import { UsageError } from "../../config/usage.ts";
import type { Program } from "../../protocol/program.ts";
import { isAbsent } from "../../storage/errors.ts";
import { splitAccessToken } from "../auth/access-token.ts";
import { tokenProblem } from "../home/access-token.ts";
import { GIVEN } from "../home/home.ts";
import { knownSettings } from "../home/known-settings.ts";
import { settingsPath } from "../home/settings-file.ts";
import { homeOf } from "../place.ts";
import type { HapiConfig } from "../settings.ts";

const USAGE = `Usage: roost hapi token [NAMESPACE] [--json]   settings such as --data-dir may follow`;

export async function tokenCommand(argv: readonly string[], program: Program<HapiConfig>): Promise<number> {
  const split = splitWords(argv);
  const json = takeSwitch(split.flags, "--json");
  const [namespace, ...more] = split.words;
  if (more.length > 0) throw new UsageError(USAGE);
  const { config } = await program.load(json.flags);
  const token = withNamespace(ownToken(config), namespace);
  process.stdout.write(json.on ? `${JSON.stringify({ token })}\n` : `${token}\n`);
  return 0;
}

/** What this server goes by: what it is given wins over the file. @throws Error with a sentence, which never holds the token */
function ownToken(config: HapiConfig): string {
  const { hapiAccessToken: given } = config;
  const home = homeOf(config);
  const path = settingsPath(home);
  if (given === undefined) refuseOpenFile(path);
  const token = given ?? knownSettings(home).cliApiToken;
  if (token === undefined)
    throw new Error(`There is no access token in ${path} yet. The first start makes it.`);
  const problem = tokenProblem(token, given === undefined ? path : GIVEN);
  if (problem !== undefined) throw new Error(problem);
  return token;
}

/** @throws Error with a sentence when the file is not its owner's alone, or not this user's. */
export function refuseOpenFile(path: string, user = process.getuid?.()): void {
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(path);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (user !== undefined && user !== 0 && found?.uid !== user)
    throw new Error(`The file ${path} belongs to another user. Run this as the user that runs the server.`);
  if (found !== undefined && (found.mode & 0o077) !== 0)
    throw new Error(
      `Others on this machine may read ${path}, and the access token with it. chmod 600 ${path}; when somebody else may have read it, stop the server, remove "cliApiToken" from the file, and start it again: a new one is made.`,
    );
}

function withNamespace(token: string, namespace: string | undefined): string {
  if (namespace === undefined) return token;
  const text = `${token}:${namespace}`;
  if (splitAccessToken(text)?.ns !== namespace)
    throw new UsageError("A namespace has at least one character, no colon, and no blank at its ends.");
  return text;
}
