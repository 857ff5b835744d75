// `roost serve`: runs the server until SIGINT or SIGTERM.

import type { Command } from "../cli/command.ts";
import { unfollowedVariables } from "../config/env.ts";
import { LiveConfig } from "../config/live.ts";
import { unusedVariables } from "../config/unused-variables.ts";
import { startServer } from "../context.ts";
import { changeLevel, createLog, standardOutput } from "../observability/log.ts";
import { keepMemorySmall } from "../ops/idle-memory.ts";
import { serviceManager } from "../ops/service-manager.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { Program } from "../protocol/program.ts";
import { OtherPortError } from "../server/front-door.ts";
import { followChanges, logCertificate } from "./follow-changes.ts";
import { addresses, greeting } from "./greeting.ts";

export const serve: Command<Program> = {
  about: "run the server (the default command)",
  run: async (argv, program) => {
    const { config: initial, places, given } = await program.load(argv);
    const live = new LiveConfig(program.catalogue.settings, initial);
    const { config } = live;
    // Whatever is created from here on is for the owner's eyes only.
    process.umask(0o077);
    const output = standardOutput(config.logFormat);
    const log = createLog(config.logLevel, output, config.logLevels);
    live.onChange((applied) => {
      if (applied.includes("logLevel") || applied.includes("logLevels"))
        changeLevel(log, config.logLevel, config.logLevels);
    });
    for (const sentence of unusedVariables(program.catalogue, process.env)) log.warn(sentence);
    for (const sentence of unfollowedVariables(program.catalogue, process.env, given)) log.info(sentence);
    const manager = await serviceManager(log);
    const stopping = Promise.withResolvers<string>();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stopping.resolve);
    const server = await startServer(config, log, program.protocols).catch((error: unknown) => {
      throw explained(error, config);
    });
    const { port, certificate } = server;
    const follower = followChanges({
      argv,
      program,
      places,
      live,
      server,
      log,
      manager,
      hungUp: stopping.resolve,
    });
    if (certificate !== undefined) logCertificate(log, certificate);
    process.stdout.write(
      await greeting(
        {
          ...addresses(config.host, port, certificate !== undefined),
          config,
          firstRun: server.firstRun,
          terminal: process.stdout.isTTY === true,
        },
        program.on(config).flatMap((protocol) => {
          const served = server.protocols.get(protocol.name);
          return served === undefined ? [] : [{ ...served, greeting: protocol.greeting }];
        }),
      ),
    );
    manager.ready(`Listening on port ${port}`);
    manager.keepAlive(() => server.deadly());
    const stopTrimming = keepMemorySmall();
    const reason = await Promise.race([stopping.promise, server.failed]);
    if (typeof reason === "string") log.info({ signal: reason }, "stopping");
    else log.fatal({ problem: reason.message }, "stopping, because only a new process can go on");
    manager.stopping();
    follower.stop();
    stopTrimming();
    await server.stop();
    log.info("stopped");
    await output.flushed();
    return typeof reason === "string" ? 0 : 1;
  },
};

/** The system's error codes as a sentence that says what to do. */
function explained(error: unknown, { port, dataDir }: HouseConfig): unknown {
  if (error instanceof OtherPortError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "EADDRINUSE") {
    return new Error(
      `Port ${port} is already in use. Stop the other program, or choose another port with --port.`,
    );
  }
  if (
    ["EACCES", "EPERM", "EROFS", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"].some((known) =>
      code.startsWith(known),
    )
  ) {
    if (error instanceof Error && "syscall" in error && error.syscall === "listen") {
      return new Error(`Port ${port} may not be opened by this user. Choose one above 1023 with --port.`);
    }
    return new Error(
      `The data folder ${dataDir} is not writable. Change its owner, or choose another one with --data-dir.`,
    );
  }
  if (code === "ENOTDIR" || code === "EEXIST")
    return new Error(`The data folder ${dataDir} is not a folder. Choose another one with --data-dir.`);
  if (["disk-full", "SQLITE_FULL", "ENOSPC", "EDQUOT"].includes(code))
    return new Error(
      `The disk of the data folder ${dataDir} is full. Free some space, or choose another one with --data-dir.`,
    );
  return error;
}
