// `roost invite`: an address that lets new people in, for a time and a number of them. Works beside a running server and without one.
import { z } from "zod";
import { withAdministration } from "../../admin/client.ts";
import type { Command } from "../../cli/command.ts";
import { when } from "../../cli/table.ts";
import { takeOption } from "../../cli/words.ts";
import { parseDuration } from "../../config/duration.ts";
import { UsageError } from "../../config/env.ts";
import type { Program } from "../../protocol/program.ts";
import type { HappyConfig } from "../settings.ts";

const USAGE = `Usage:
  roost invite [--uses N] [--for TIME]   prints an address that admits N new accounts (1) for a time such as 30m, 24h or 7d (24h)
Settings such as --data-dir may follow.`;
const DAY_MS = 24 * 60 * 60_000;

const made = z.object({ url: z.string(), expiresAt: z.number(), registration: z.string() });
const CLOSED = "But registration is closed: nobody is admitted until it is set to claim, invite or open.\n";

export const invite: Command<Program<HappyConfig>> = {
  about: "print an address that admits a new account: invite [--uses N] [--for 24h]",
  usage: USAGE,
  run: async (argv, program) => {
    const uses = takeOption(argv, "--uses");
    const time = takeOption(uses.rest, "--for");
    if (time.rest[0] !== undefined && !time.rest[0].startsWith("--")) throw new UsageError(USAGE);
    const count = Number(uses.value ?? "1");
    if (!/^\d{1,4}$/.test(uses.value ?? "1") || count < 1 || count > 1_000)
      throw new UsageError('--uses needs a number from 1 to 1000, for example "--uses 3".');
    const forMs = milliseconds(time.value ?? "24h");
    const { config } = await program.load(time.rest);
    process.umask(0o077);
    const answer = await withAdministration(program.named("happy"), config, (ask) =>
      ask("POST", "/invites", { uses: count, forMs }),
    );
    const { url, expiresAt, registration } = made.parse(answer);
    const people = count === 1 ? "one new account" : `${count} new accounts`;
    process.stdout.write(
      `${url}\n\nEnter it as the server in the Happy app. It admits ${people} until ${when(expiresAt)}, and stays valid as an address.\n${registration === "closed" ? CLOSED : ""}`,
    );
    return 0;
  },
};

function milliseconds(text: string): number {
  const days = /^(\d{1,3})d$/.exec(text)?.[1];
  const ms = days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
  if (ms === undefined || ms < 60_000 || ms > 366 * DAY_MS)
    throw new UsageError('--for needs a time from 1m to 366d, for example "--for 24h".');
  return ms;
}
