// The released hapi, unmodified, as people get it from npm: one executable that is CLI, runner and hub, installed once into a cache folder.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const HAPI_VERSION = "0.30.7";
const PACKAGE = "@twsxtd/hapi";

const cache = () => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "roost", "clients");
const target = () => join(cache(), `hapi-${HAPI_VERSION}`);
/** npm brings the executable of the platform as a package of its own. */
const inside = (folder: string) =>
  join(folder, "node_modules", "@twsxtd", `hapi-${process.platform}-${process.arch}`, "bin", "hapi");

/** The executable; undefined where it was never installed. */
export function installedHapi(): string | undefined {
  const path = inside(target());
  return existsSync(path) ? path : undefined;
}

/** @returns the executable, after having it installed where that was not done before. */
export async function installHapi(): Promise<string> {
  const already = installedHapi();
  if (already !== undefined) return already;
  if (Bun.which("npm") === null) throw new Error("npm is not on the PATH: it brings the released hapi.");
  mkdirSync(cache(), { recursive: true });
  // Built aside and renamed: a run that is cut off leaves no half of an installation under the final name.
  const aside = mkdtempSync(join(cache(), ".installing-"));
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"];
  const npm = Bun.spawn(["npm", "install", `${PACKAGE}@${HAPI_VERSION}`, "--prefix", aside, ...quiet], {
    cwd: aside,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [code, problem] = await Promise.all([npm.exited, npm.stderr.text()]);
  try {
    if (code !== 0 || !existsSync(inside(aside)))
      throw new Error(`npm could not install ${PACKAGE}@${HAPI_VERSION} (code ${code}):\n${problem}`);
    renameSync(aside, target());
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (installedHapi() === undefined) throw error; // else another run was faster
  }
  return inside(target());
}
