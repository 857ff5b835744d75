// While the server runs: SIGHUP, or a change of roost.yaml or of the certificate's files, is followed as far as it can be. What
// takes effect only at the next start is named in the log; a mistake is named too, and changes nothing.

import { closeSync, openSync } from "node:fs";
import type { Logger } from "pino";
import type { LiveConfig } from "../config/live.ts";
import { watchFiles } from "../config/watch-files.ts";
import type { RunningServer } from "../context.ts";
import { changeLevel } from "../observability/log.ts";
import type { ServiceManager } from "../ops/service-manager.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { Program } from "../protocol/program.ts";
import type { Certificate } from "../server/certificate.ts";

export interface Followed {
  readonly argv: readonly string[];
  /** Where the configuration file is, or may appear. */
  readonly places: readonly string[];
  readonly live: LiveConfig<HouseConfig>;
  readonly program: Program;
  readonly server: Pick<RunningServer, "port" | "renewCertificate">;
  readonly log: Logger;
  readonly manager: ServiceManager;
  /** Called when SIGHUP means that the terminal is gone. */
  readonly hungUp: (signal: string) => void;
}

export function followChanges(followed: Followed): { stop(): void } {
  const { argv, program, places, live, server, log, manager, hungUp } = followed;
  let last: Promise<void> = Promise.resolve();
  const follow = (...steps: (() => Promise<void>)[]) => {
    last = last.then(async () => {
      manager.reloading();
      for (const step of steps) {
        await step().catch((error: unknown) => {
          const problem = error instanceof Error ? error.message : String(error);
          log.error({ problem }, "the change was not followed; the server goes on as before");
        });
      }
      manager.ready(`Listening on port ${server.port}`);
    });
  };

  const configuration = async () => {
    const { config } = await program.load(argv);
    const { applied, atRestart } = live.update(config);
    log.info(
      { settings: applied },
      applied.length === 0 ? "no setting changed" : "changed settings are in effect",
    );
    if (atRestart.length > 0)
      log.warn({ settings: atRestart }, "changed settings take effect at the next start only");
  };
  const certificate = async () => {
    const renewed = await server.renewCertificate();
    if (renewed !== undefined) logCertificate(log, renewed);
  };

  const terminal = process.stdout.isTTY || process.stdin.isTTY;
  const onSignal = () => {
    if (!terminal || terminalIsThere()) return follow(configuration, certificate);
    // Nobody reads it any more, and writing to a terminal that is gone fails.
    changeLevel(log, "silent");
    hungUp("SIGHUP");
  };
  // On Windows it means that the console was closed, and the system's own answer to that stands.
  if (process.platform !== "win32") process.on("SIGHUP", onSignal);
  const { tlsCert, tlsKey } = live.config;
  const watches = [watchFiles(places, () => follow(configuration))];
  if (tlsCert !== undefined && tlsKey !== undefined)
    watches.push(watchFiles([tlsCert, tlsKey], () => follow(certificate)));
  return {
    stop: () => {
      process.off("SIGHUP", onSignal);
      for (const stop of watches) stop();
    },
  };
}

export function logCertificate(log: Logger, { names, validUntil }: Certificate): void {
  const facts = { names, validUntil: new Date(validUntil).toISOString() };
  if (validUntil > Date.now()) log.info(facts, "the certificate in use");
  else log.warn(facts, "the certificate in use is not valid any more: clients will refuse it");
}

function terminalIsThere(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
