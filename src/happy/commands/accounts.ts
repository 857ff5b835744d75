// `roost accounts ...`: who may come in, who waits, and which tokens are in use. Works beside a running server and without one.
import { z } from "zod";
import { type Ask, withAdministration } from "../../admin/client.ts";
import type { Command } from "../../cli/command.ts";
import { size, table, when } from "../../cli/table.ts";
import { splitWords, takeSwitch } from "../../cli/words.ts";
import { UsageError } from "../../config/env.ts";
import type { Program } from "../../protocol/program.ts";
import type { HappyConfig } from "../settings.ts";

const USAGE = `Usage:
  roost accounts [list]                 shows every account, and the keys that wait
  roost accounts approve KEY            lets a waiting key in
  roost accounts refuse KEY             a waiting key stays out, with an invite too, until it is approved
  roost accounts disable ACCOUNT        refuses everything of an account until it is enabled
  roost accounts enable ACCOUNT
  roost accounts delete ACCOUNT --yes   deletes an account with everything that it owns
  roost accounts tokens [ACCOUNT]       shows the tokens that are in use
  roost accounts revoke ACCOUNT TOKEN   shuts out one token
  roost accounts revoke ACCOUNT --all   shuts out every token; whoever holds the account's key signs in again
KEY is what the list shows under KEY; ACCOUNT is an id or a KEY. Settings such as --data-dir may follow.`;

export const accounts: Command<Program<HappyConfig>> = {
  about: "say who may come in: accounts list|approve|refuse|disable|enable|delete|tokens|revoke",
  usage: USAGE,
  run: async (argv, program) => {
    const split = splitWords(argv);
    const yes = takeSwitch(split.flags, "--yes");
    const all = takeSwitch(yes.flags, "--all");
    const [action = "list", name, token, ...more] = split.words;
    const wanted = WORDS.get(action);
    if (wanted === undefined || more.length > 0) throw new UsageError(USAGE);
    const { names, optional } = wanted;
    const given = [name, token].filter((word) => word !== undefined).length;
    const expected = action === "revoke" && all.on ? 1 : names;
    if (given > expected || (given < expected && !optional)) throw new UsageError(USAGE);
    if ((yes.on && action !== "delete") || (all.on && action !== "revoke")) throw new UsageError(USAGE);
    if (action === "delete" && !yes.on)
      throw new UsageError(
        `This deletes the account ${name} with all its sessions, messages and files, for ever. Add --yes if you mean it.`,
      );
    const { config } = await program.load(all.flags);
    process.umask(0o077);
    const text = await withAdministration(program.named("happy"), config, (ask) =>
      actions[wanted.run](ask, name ?? "", token),
    );
    process.stdout.write(text);
    return 0;
  },
};

const WORDS = new Map<string, { run: keyof typeof actions; names: number; optional?: boolean }>([
  ["list", { run: "list", names: 0 }],
  ["approve", { run: "approve", names: 1 }],
  ["refuse", { run: "refuse", names: 1 }],
  ["disable", { run: "disable", names: 1 }],
  ["enable", { run: "enable", names: 1 }],
  ["delete", { run: "remove", names: 1 }],
  ["tokens", { run: "tokens", names: 1, optional: true }],
  ["revoke", { run: "revoke", names: 2 }],
]);

const listed = z.object({
  accounts: z.array(
    z.object({
      id: z.string(),
      fingerprint: z.string(),
      username: z.string().nullable(),
      isOwner: z.boolean(),
      disabledAt: z.number().nullable(),
      machines: z.number(),
      phones: z.number(),
      sessions: z.number(),
      bytes: z.number(),
      connections: z.number(),
      lastSeenAt: z.number(),
    }),
  ),
  waiting: z.array(
    z.object({
      fingerprint: z.string(),
      client: z.string(),
      refusedAt: z.number().nullable(),
      firstSeenAt: z.number(),
      lastSeenAt: z.number(),
    }),
  ),
});
const changed = z.object({ account: z.string() });
const seen = z.object({
  tokens: z.array(
    z.object({
      account: z.string(),
      tokenId: z.string(),
      label: z.string(),
      issuedAt: z.number(),
      lastSeenAt: z.number(),
    }),
  ),
});

const path = (...parts: string[]) => `/${parts.map(encodeURIComponent).join("/")}`;

/** Each gives the text for the person. */
const actions = {
  list: async (ask: Ask) => {
    const { accounts, waiting } = listed.parse(await ask("GET", "/accounts"));
    const known = table(
      ["ACCOUNT", "KEY", "NAME", "STATE", "DEVICES", "SESSIONS", "SIZE", "LAST SEEN"],
      accounts.map((account) => [
        account.id,
        account.fingerprint,
        account.username ?? "-",
        account.disabledAt === null ? (account.isOwner ? "owner" : "active") : "disabled",
        String(account.machines + account.phones),
        String(account.sessions),
        size(account.bytes),
        account.connections > 0 ? "connected" : when(account.lastSeenAt),
      ]),
    );
    const keys = table(
      ["KEY", "STATE", "CLIENT", "FIRST SEEN", "LAST SEEN"],
      waiting.map((key) => [
        key.fingerprint,
        key.refusedAt === null ? "waiting" : "refused",
        key.client || "-",
        when(key.firstSeenAt),
        when(key.lastSeenAt),
      ]),
    );
    return [
      accounts.length === 0 ? "There is no account yet.\n" : known,
      ...(waiting.length === 0 ? [] : [`\nKeys that are not admitted:\n${keys}`]),
    ].join("");
  },
  approve: async (ask: Ask, key: string) => {
    const { account } = changed.parse(await ask("POST", path("keys", key, "approve")));
    return `The key is admitted as account ${account}. Its owner can sign in now.\n`;
  },
  refuse: async (ask: Ask, key: string) => {
    await ask("POST", path("keys", key, "refuse"));
    return "The key is refused. To let it in after all, approve it.\n";
  },
  disable: async (ask: Ask, name: string) => {
    const { account } = changed.parse(await ask("POST", path("accounts", name, "disable")));
    return `Account ${account} is disabled: its tokens are refused and its connections closed.\n`;
  },
  enable: async (ask: Ask, name: string) => {
    const { account } = changed.parse(await ask("POST", path("accounts", name, "enable")));
    return `Account ${account} is enabled. An app that was open meanwhile must be restarted.\n`;
  },
  remove: async (ask: Ask, name: string) => {
    const { account } = changed.parse(await ask("POST", path("accounts", name, "remove")));
    return `Account ${account} is deleted with everything that it owned.\n`;
  },
  tokens: async (ask: Ask, name: string) => {
    const { tokens } = seen.parse(
      await ask("GET", name === "" ? "/tokens" : path("accounts", name, "tokens")),
    );
    if (tokens.length === 0) return "No token is known to be in use.\n";
    return table(
      ["TOKEN", "ACCOUNT", "CLIENT", "ISSUED", "LAST SEEN"],
      tokens.map(({ tokenId, account, label, issuedAt, lastSeenAt }) => [
        tokenId,
        account,
        label || "-",
        when(issuedAt * 1000),
        when(lastSeenAt),
      ]),
    );
  },
  revoke: async (ask: Ask, name: string, tokenId: string | undefined) => {
    const body = tokenId === undefined ? {} : { tokenId };
    const { account } = changed.parse(await ask("POST", path("accounts", name, "revoke"), body));
    return tokenId === undefined
      ? `Every token of account ${account} is revoked. Its key signs in again; machines must be paired again.\n`
      : `The token ${tokenId} is revoked.\n`;
  },
};
