// `roost frames token NAME`: a token with which NAME connects to the frames hub. Signed as the server's configuration says; nothing is
// stored, and a token that was handed out is valid until it expires.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hs256Key, issueHs256 } from "../auth/hs256.ts";
import type { Command } from "../cli/command.ts";
import { takeOption } from "../cli/words.ts";
import { UsageError } from "../config/env.ts";
import type { Program } from "../protocol/program.ts";
import { loadMasterSecret } from "../storage/master-secret.ts";
import { tokenSecret } from "./hub-settings.ts";
import { clientId, type Permission, permissions } from "./identity.ts";
import type { FramesConfig } from "./settings.ts";

const USAGE = `Usage:
  roost frames token NAME [--permissions LIST] [--days N]

NAME is the client's id. It may ${permissions.join(", ")}: without a list it may talk and be
in rooms (read:message,send:message,join:room,leave:room). The token is valid for 30 days unless told otherwise.
Settings such as --data-dir and --frames-auth-secret-key may follow.`;

const TALK: readonly Permission[] = ["read:message", "send:message", "join:room", "leave:room"];
const DAY = 86_400;
const MAX_DAYS = 36_500;

export const framesCommand: Command<Program<FramesConfig>> = {
  about: "make a token for a client of the frames hub: frames token NAME",
  usage: USAGE,
  run: async ([action, name, ...words], program) => {
    if (action !== "token" || name === undefined || name.startsWith("--")) throw new UsageError(USAGE);
    if (!clientId.safeParse(name).success)
      throw new UsageError("A client's name has 1 to 128 characters, and no control characters.");
    const given = takeOption(words, "--permissions");
    const lasting = takeOption(given.rest, "--days");
    for (const [name, { value }] of Object.entries({ "--permissions": given, "--days": lasting }))
      if (value === "") throw new UsageError(`${name} needs a value.`);
    const granted = permissionsOf(given.value);
    const days = Number(lasting.value ?? 30);
    if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS)
      throw new UsageError(`--days needs a whole number from 1 to ${MAX_DAYS}.`);
    const { config } = await program.load(lasting.rest);
    if (config.framesAuthEnabled === false)
      throw new UsageError("The frames hub is configured to ask for no tokens (frames-auth-enabled).");
    process.stdout.write(`${await sign(config, name, granted, days)}\n`);
    return 0;
  },
};

async function sign(
  config: FramesConfig,
  name: string,
  granted: readonly string[],
  days: number,
): Promise<string> {
  const key = hs256Key(tokenSecret(config, masterSecretOf(config)));
  const claims = { user_id: name, permissions: granted, sub: name };
  return (await issueHs256(claims, days * DAY, { key, issuer: config.framesAuthIssuer })).token;
}

/** Never makes one: the running server would not know it. */
function masterSecretOf(config: FramesConfig): string | undefined {
  if (config.framesAuthSecretKey !== undefined) return undefined;
  if (config.masterSecret === undefined && !existsSync(join(config.dataDir, "master-secret")))
    throw new Error(
      `The data folder ${config.dataDir} has no secret yet. Start the server once, or name its folder with --data-dir.`,
    );
  return loadMasterSecret(config).value;
}

function permissionsOf(list: string | undefined): readonly string[] {
  if (list === undefined) return TALK;
  const names = list.split(",").map((entry) => entry.trim());
  const unknown = names.find((entry) => !(permissions as readonly string[]).includes(entry));
  if (unknown !== undefined)
    throw new UsageError(`There is no permission "${unknown}". There are: ${permissions.join(", ")}.`);
  return names;
}
