// `roost doctor`: what is wrong on this machine, or with a URL as the app will see it. Exit code 1 when something is.

import { findChannel } from "../admin/channel.ts";
import type { Command } from "../cli/command.ts";
import { nearest, UsageError } from "../config/usage.ts";
import type { Finding } from "../doctor/finding.ts";
import { fromOutside } from "../doctor/outside.ts";
import { report, summary } from "../doctor/report.ts";
import { type ToldLimits, toldLimits } from "../doctor/running-server.ts";
import { thisMachine } from "../doctor/this-machine.ts";
import type { Program } from "../protocol/program.ts";
import { placedDatabases } from "./databases.ts";

const IDLE_SECONDS = 90;
/** One ping of the server comes within it. */
const QUICK_SECONDS = 17;

export const doctor: Command<Program> = {
  about:
    "find what is wrong: on this machine, or at a URL as the app sees it (doctor https://...; --quick, --json)",
  run: async (argv, program) => {
    const quick = argv.includes("--quick");
    const json = argv.includes("--json");
    const words = argv.filter((word) => word !== "--quick" && word !== "--json");
    const [address] = words;
    const url = address === undefined || address.startsWith("-") ? undefined : urlOf(address);
    if (url !== undefined && words.length > 1)
      throw new UsageError(
        `"${words[1]}" is not for a look from outside. Did you mean ${nearest(words[1] ?? "", ["--quick", "--json"])}?`,
      );
    const idleSeconds = quick ? QUICK_SECONDS : IDLE_SECONDS;
    if (url !== undefined && !json)
      process.stdout.write(
        `Looking at ${url.href} from here, as the app does. It takes about ${idleSeconds} s.\n\n`,
      );
    const findings: Finding[] = [];
    const colored = process.stdout.isTTY === true;
    const looking =
      url === undefined
        ? await lookHere(program, words)
        : fromOutside({ url, idleSeconds }, looksOf(program));
    for await (const finding of looking) {
      findings.push(finding);
      if (!json) process.stdout.write(report(finding, colored));
    }
    process.stdout.write(json ? `${JSON.stringify(findings, undefined, 2)}\n` : `\n${summary(findings)}\n`);
    return findings.some(({ result }) => result === "failure") ? 1 : 0;
  },
};

const looksOf = ({ protocols }: Program) => protocols.flatMap(({ doctor: part }) => part?.outside ?? []);

async function lookHere(program: Program, words: string[]): Promise<AsyncIterable<Finding>> {
  const { config } = await program.load(words);
  const on = program.on(config);
  const placed = placedDatabases(program, config);
  return thisMachine(config, {
    ageLimits: Object.fromEntries(
      await Promise.all(
        on.map(async ({ name, doctor: part }) => [
          name,
          (await part?.shortestAgeMs?.(config)) ?? Number.POSITIVE_INFINITY,
        ]),
      ),
    ),
    limits: await askServer(config.dataDir),
    databases: placed.map(({ path }) => path),
    homes: placed.flatMap(({ home }) => home ?? []),
    clockUrl: on.map(({ doctor: part }) => part?.clockUrl?.(config)).find((url) => url !== undefined),
    ofProtocols: on.flatMap(({ doctor: part }) =>
      part?.machine === undefined ? [] : [part.machine(config)],
    ),
  });
}

/** Undefined where no server runs, or one that does not answer: the findings about its port say that. */
async function askServer(dataDir: string): Promise<ToldLimits | undefined> {
  const answer = await findChannel(dataDir)?.("/limits", { method: "GET" }).catch(() => undefined);
  return answer?.ok === true ? toldLimits.parse(await answer.json()) : undefined;
}

function urlOf(word: string): URL {
  const url = URL.parse(word);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new UsageError(`"${word}" is not an http or https address, such as https://roost.example.org.`);
  if (url.username !== "" || url.password !== "")
    throw new UsageError("The address must not hold a name or password.");
  return url;
}
