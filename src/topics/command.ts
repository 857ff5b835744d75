// `roost topics user ...` and `roost topics prune`: who may use the topics API, and its event log. They work beside a running
// server, which sees every change at once.
import { mkdirSync } from "node:fs";
import type { Command } from "../cli/command.ts";
import { lockUnlessServed } from "../cli/lock-unless-served.ts";
import { readPassword } from "../cli/password-input.ts";
import { table } from "../cli/table.ts";
import { splitWords, takeOption, takeSwitch } from "../cli/words.ts";
import { UsageError } from "../config/env.ts";
import { createLog } from "../observability/log.ts";
import type { Program } from "../protocol/program.ts";
import { believeClock, doubtInWords, RetentionClock } from "../retention/clock.ts";
import { configuredTopics } from "./configured.ts";
import { hashPassword } from "./passwords.ts";
import { topicsRetention } from "./retention.ts";
import type { TopicsConfig } from "./settings.ts";
import { openTopicsDatabase, topicsPath } from "./store/database.ts";
import { type TopicsStore, topicsStore } from "./store/index.ts";
import { migrations } from "./store/migrations.ts";

const USAGE = `Usage:
  roost topics user add NAME [--role ROLE]   the password is asked for, or read from standard input
  roost topics user passwd NAME
  roost topics user disable NAME
  roost topics user enable NAME
  roost topics user list
  roost topics prune [--now-is-right]        deletes old events now, as the server does every hour
Settings such as --data-dir may follow.
`;

export const topicsCommand: Command<Program<TopicsConfig>> = {
  about: "manage the users of the topics API: topics user add|passwd|disable|enable|list; topics prune",
  run: async (argv, program) => {
    const split = splitWords(argv);
    const { value: role, rest: given } = takeOption(split.flags, "--role");
    if (role === "" || (role?.length ?? 0) > 32)
      throw new UsageError("--role needs a name of at most 32 characters.");
    const [kind, action, name, ...more] = split.words;
    const { on: isRight, flags } =
      kind === "prune" ? takeSwitch(given, "--now-is-right") : { on: false, flags: given };
    const { config } = await program.load(flags);
    process.umask(0o077);
    if (kind === "prune" && action === undefined) return prune(config, isRight);
    if (kind !== "user" || action === undefined || more.length > 0) throw new UsageError(USAGE.trimEnd());
    if (action === "list" && name === undefined) return withStore(config, list);
    if (name === undefined || !(action in changes)) throw new UsageError(USAGE.trimEnd());
    if (role !== undefined && action !== "add")
      throw new UsageError("--role goes with: topics user add NAME");
    if (name.length > 64) throw new UsageError("A user's name has at most 64 characters.");
    process.stdout.write(`${await changes[action as keyof typeof changes](config, name, role ?? "admin")}\n`);
    return 0;
  },
};

/** Each gives the sentence for the person, or throws it. */
const changes = {
  add: async (config: TopicsConfig, name: string, role: string) => {
    const passwordHash = await askedHash(name);
    const added = await withStore(config, (store) => store.addUser({ username: name, passwordHash, role }));
    if (!added) throw new Error(`There is already a user "${name}".`);
    return `User "${name}" was added with the role "${role}".`;
  },
  passwd: async (config: TopicsConfig, name: string) => {
    await change(config, name, { passwordHash: await askedHash(name) });
    return `The password of "${name}" was changed.`;
  },
  disable: async (config: TopicsConfig, name: string) => {
    await change(config, name, { status: "inactive" });
    return `User "${name}" can no longer log in or connect. What was issued before still works until it expires.`;
  },
  enable: async (config: TopicsConfig, name: string) => {
    await change(config, name, { status: "active" });
    return `User "${name}" can log in.`;
  },
};

async function change(
  config: TopicsConfig,
  name: string,
  what: { passwordHash: string } | { status: "active" | "inactive" },
): Promise<void> {
  const known = await withStore(config, (store) => store.changeUser(name, what));
  if (!known) throw new Error(`There is no user "${name}".`);
}

async function askedHash(name: string): Promise<string> {
  const password = await readPassword(`Password of "${name}": `);
  return hashPassword(password);
}

async function list(store: TopicsStore): Promise<number> {
  const users = await store.listUsers();
  const rows = users.map(({ id, username, role, status, createdAt }) => [
    String(id),
    username,
    role,
    status,
    new Date(createdAt).toISOString(),
  ]);
  process.stdout.write(table(["ID", "NAME", "ROLE", "STATUS", "SINCE"], rows));
  return 0;
}

async function prune(config: TopicsConfig, isRight: boolean): Promise<number> {
  const { topics } = configuredTopics(config);
  const { dataDir } = config;
  const removed = await withStore(config, async (store) => {
    const { newest, shortestMs, run } = topicsRetention({ config, store, topics });
    if (isRight) believeClock(dataDir, ["topics"], Date.now());
    const doubt = await new RetentionClock({ dataDir, name: "topics", newest }).look(shortestMs());
    if (doubt !== undefined) throw new Error(Object.values(doubtInWords(doubt)).join(" "));
    return run({ now: Date.now(), goOn: () => true, isShared: true });
  });
  const deleted = Object.values(removed).reduce((sum, count) => sum + count, 0);
  process.stdout.write(`${deleted} old events were deleted.\n`);
  return 0;
}

async function withStore<T>(config: TopicsConfig, work: (store: TopicsStore) => Promise<T>): Promise<T> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = lockUnlessServed(config.dataDir, [
    { path: topicsPath(config.dataDir), version: migrations.length },
  ]);
  try {
    const database = openTopicsDatabase(config.dataDir, createLog(config.logLevel));
    try {
      return await work(topicsStore(database));
    } finally {
      await database.close();
    }
  } finally {
    lock?.release();
  }
}
