// `roost health`: asks the server of the data folder whether it is well; for container health checks and for scripts.

import type { Command } from "../cli/command.ts";
import { takeOption } from "../cli/words.ts";
import { UsageError } from "../config/env.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { Program } from "../protocol/program.ts";
import { localUrl } from "../server/machine-addresses.ts";
import { ownAddress } from "../server/own-address.ts";

const ASK_MS = 4_000;
const AGAIN_MS = 100;

export const health: Command<Program> = {
  about: "ask the running server whether it is well (exit code 0 or 1); --wait SECONDS waits until it is",
  run: async (argv, program) => {
    const { waitMs, rest } = takeWait(argv);
    const { config } = await program.load(rest);
    const until = performance.now() + waitMs;
    for (;;) {
      // Read each time: the server may be about to say where it is.
      const url = ownAddress(config.dataDir) ?? configuredUrl(config);
      const problem = await ask(url);
      if (problem === undefined) return 0;
      if (performance.now() >= until) throw new Error(`The server at ${url} is not well: ${problem}.`);
      await Bun.sleep(AGAIN_MS);
    }
  },
};

function takeWait(argv: readonly string[]): { waitMs: number; rest: readonly string[] } {
  const { value: seconds = "0", rest } = takeOption(argv, "--wait");
  if (!/^\d{1,5}$/.test(seconds))
    throw new UsageError('--wait needs a number of seconds, for example "--wait 30".');
  return { waitMs: Number(seconds) * 1000, rest };
}

function configuredUrl({ host, port, tlsCert }: HouseConfig): string {
  return localUrl(host, port, tlsCert !== undefined);
}

/** What is wrong, or undefined. */
async function ask(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${url}/health`, {
      signal: AbortSignal.timeout(ASK_MS),
      redirect: "error",
      // It is this machine that is asked; the certificate names the address that others use.
      tls: { rejectUnauthorized: false },
    });
    return answer.ok ? undefined : `it answered ${answer.status}`;
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    return timedOut ? `it did not answer within ${ASK_MS / 1000} s` : "it does not answer";
  }
}
