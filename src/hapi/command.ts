// `roost hapi ...`: what the person who runs the server sees of the hub and does about it. Each word is a line of one of two tables: those
// that ask the running server, or the database where none runs, and those that have their own words and settings.
import { withAdministration } from "../admin/client.ts";
import type { Command } from "../cli/command.ts";
import { splitWords, takeSwitch } from "../cli/words.ts";
import { UsageError } from "../config/usage.ts";
import type { Program } from "../protocol/program.ts";
import type { Question } from "./commands/questions.ts";
import type { HapiConfig } from "./settings.ts";

const USAGE = `Usage:
  roost hapi [namespaces]               shows every namespace: sessions, machines, bytes, when it was last seen
  roost hapi sessions NAMESPACE         shows the sessions of a namespace
  roost hapi machines [NAMESPACE]       shows the machines, of one namespace or of all
  roost hapi subscribers [NAMESPACE]    shows who is notified: browsers, phones, Telegram users
  roost hapi unsubscribe ID             notifies this one no more; ID is what subscribers shows
  roost hapi delete NAMESPACE --yes     deletes a namespace with everything that is its own
  roost hapi token [NAMESPACE]          prints the access token, for CLI_API_TOKEN and the login of the web app
  roost hapi web install|update|status|remove   HAPI's web app; roost hapi web help says how
With --json the answer is for a program. Settings such as --data-dir may follow.`;

/** Asked of the server, or of the database. */
const QUESTIONS: Readonly<Record<string, () => Promise<Question>>> = {
  namespaces: async () => (await import("./commands/questions.ts")).namespaces,
  sessions: async () => (await import("./commands/questions.ts")).sessions,
  machines: async () => (await import("./commands/questions.ts")).machines,
  subscribers: async () => (await import("./commands/questions.ts")).subscribers,
  unsubscribe: async () => (await import("./commands/questions.ts")).unsubscribe,
  delete: async () => (await import("./commands/questions.ts")).remove,
};

type Own = (argv: readonly string[], program: Program<HapiConfig>) => Promise<number>;

/** With what follows the word, words and settings as they were given. */
const OWN: Readonly<Record<string, () => Promise<Own>>> = {
  token: async () => (await import("./commands/token.ts")).tokenCommand,
  web: async () => (await import("./web/command.ts")).webCommand,
};

export const hapiCommand: Command<Program<HapiConfig>> = {
  about:
    "look after the HAPI hub: hapi namespaces|sessions|machines|subscribers|unsubscribe|delete|token|web",
  usage: USAGE,
  run: async (argv, program) => {
    const [first = ""] = argv;
    if (Object.hasOwn(OWN, first)) return (await OWN[first]?.())?.(argv.slice(1), program) ?? 0;
    const split = splitWords(argv);
    const [word = "namespaces", ...given] = split.words;
    if (!Object.hasOwn(QUESTIONS, word)) throw new UsageError(USAGE);
    const question = await QUESTIONS[word]?.();
    const json = takeSwitch(split.flags, "--json");
    const yes = takeSwitch(json.flags, "--yes");
    if (question === undefined || given.length < question.least || given.length > question.most)
      throw new UsageError(USAGE);
    if (yes.on && question.confirm === undefined) throw new UsageError(USAGE);
    const [name] = given;
    if (!yes.on && question.confirm !== undefined) throw new UsageError(question.confirm(name ?? ""));
    const { config } = await program.load(yes.flags);
    process.umask(0o077);
    const answer = await withAdministration(program.named("hapi"), config, (ask) => question.ask(ask, name));
    process.stdout.write(json.on ? `${JSON.stringify(answer, null, 2)}\n` : question.tell(answer, name));
    return 0;
  },
};
