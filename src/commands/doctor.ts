// `roost doctor`: what is wrong on this machine, or with a URL as the app will see it. Exit code 1 when something is.

import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { nearest, UsageError } from "../config/usage.ts";
import type { Finding } from "../doctor/finding.ts";
import { fromOutside } from "../doctor/from-outside.ts";
import { report, summary } from "../doctor/report.ts";
import { thisMachine } from "../doctor/this-machine.ts";
import { shortest } from "../retention/rules.ts";
import { topicsOn } from "../topics/switch.ts";
import type { Command } from "./command.ts";

const IDLE_SECONDS = 90;
/** One ping of the server comes within it. */
const QUICK_SECONDS = 17;

export const doctor: Command = {
  about:
    "find what is wrong: on this machine, or at a URL as the app sees it (doctor https://...; --quick, --json)",
  run: async (argv) => {
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
      url === undefined ? lookHere((await loadConfig(words)).config) : fromOutside({ url, idleSeconds });
    for await (const finding of looking) {
      findings.push(finding);
      if (!json) process.stdout.write(report(finding, colored));
    }
    process.stdout.write(json ? `${JSON.stringify(findings, undefined, 2)}\n` : `\n${summary(findings)}\n`);
    return findings.some(({ result }) => result === "failure") ? 1 : 0;
  },
};

async function* lookHere(config: Config): AsyncGenerator<Finding> {
  yield* thisMachine(config, { happy: shortest(config), topics: await topicsKept(config) });
}

async function topicsKept(config: Config): Promise<number> {
  if (!topicsOn(config)) return Number.POSITIVE_INFINITY;
  const { configuredTopics, retentionOf } = await import("../topics/configured.ts");
  const { shortestKept } = await import("../topics/store/retention.ts");
  return shortestKept(retentionOf(config), configuredTopics(config).topics.values());
}

function urlOf(word: string): URL {
  const url = URL.parse(word);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new UsageError(`"${word}" is not an http or https address, such as https://roost.example.org.`);
  if (url.username !== "" || url.password !== "")
    throw new UsageError("The address must not hold a name or password.");
  return url;
}
