// Runs the hub of a released hapi for a moment, to have its web app copied (HTTP contract, H2): in a home of its own that goes again, on
// this machine only, with nothing that calls out. Also when we are interrupted.
import { accessSync, constants, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, startChild } from "../../ops/child-process.ts";
import { endsWithin } from "../../within.ts";
import { isHubAt } from "../home/original-hub.ts";

const HOST = "127.0.0.1";
const BEGIN_MS = 60_000;
const AGAIN_MS = 100;
const END_MS = 5_000;
const VERSION_MS = 20_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The executable that was named, else `hapi` of the PATH. @throws Error with a sentence that names the ways when there is none. */
export function findCli(named: string | undefined, find = (name: string) => Bun.which(name)): string {
  if (named === undefined) {
    const found = find("hapi");
    if (found !== null) return found;
    throw new Error(
      "There is no hapi on the PATH to take the web app from. Install it (npm i -g @twsxtd/hapi), name one with --from-cli PATH or a hub that runs with --from URL, or let it be downloaded with --download.",
    );
  }
  try {
    const path = realpathSync(named);
    accessSync(path, constants.X_OK);
    if (statSync(path).isFile()) return path;
  } catch {
    // Said below.
  }
  throw new Error(`${named} is no program that can be run.`);
}

export interface CliHub {
  readonly url: string;
  /** Undefined: it does not say. */
  readonly version: string | undefined;
}

/** @throws Error with a sentence when it does not come up; what `use` throws. */
export async function withHubOf<T>(executable: string, use: (hub: CliHub) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "roost-hapi-web-"));
  const port = await freePort();
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    TMPDIR: process.env.TMPDIR ?? tmpdir(),
    HAPI_HOME: home,
    HAPI_LISTEN_HOST: HOST,
    HAPI_LISTEN_PORT: `${port}`,
    HAPI_ANDROID_PUSH: "off",
    HAPI_IOS_PUSH: "off",
    CLI_API_TOKEN: Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url"),
  };
  let child: Child | undefined;
  const interrupted = () => {
    child?.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true });
    process.exit(130);
  };
  for (const signal of SIGNALS) process.on(signal, interrupted);
  try {
    const version = await versionOf(executable, { env, cwd: home });
    child = startChild([executable, "hub", "--no-relay"], { env, cwd: home, ownGroup: true });
    await begun(child, port);
    return await use({ url: `http://${HOST}:${port}`, version });
  } finally {
    if (child !== undefined) await end(child);
    for (const signal of SIGNALS) process.off(signal, interrupted);
    rmSync(home, { recursive: true, force: true });
  }
}

async function begun(child: Child, port: number): Promise<void> {
  let ended: string | undefined;
  void child.ended.then(({ code, errors }) => {
    ended = `it ended with code ${code}${errors === "" ? "" : `: ${errors.slice(-500)}`}`;
  });
  for (const until = performance.now() + BEGIN_MS; performance.now() < until; await Bun.sleep(AGAIN_MS)) {
    if (ended !== undefined) throw new Error(`The hub of hapi did not start: ${ended.replace(/\.$/, "")}.`);
    if (await isHubAt(HOST, port)) return;
  }
  throw new Error(`The hub of hapi did not start: no answer within ${BEGIN_MS / 1_000} s.`);
}

async function end(child: Child): Promise<void> {
  child.kill("SIGTERM");
  if (!(await endsWithin(END_MS, child.ended))) child.kill("SIGKILL");
  await child.ended;
}

async function versionOf(
  executable: string,
  options: { readonly env: Record<string, string>; readonly cwd: string },
): Promise<string | undefined> {
  const child = startChild([executable, "--version"], { ...options, output: true, ownGroup: true });
  if (!(await endsWithin(VERSION_MS, child.ended))) child.kill("SIGKILL");
  const { code, output = "" } = await child.ended;
  return code === 0 ? /\d+\.\d+\.\d+[\w.-]*/.exec(output)?.[0] : undefined;
}

function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, HOST, () => {
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
