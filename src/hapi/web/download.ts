// Gets the released hapi from the npm registry, only where somebody asked for it in words: the package of this platform in the version
// that the main package names, checked against the registry's integrity value before anything of it is used (HTTP contract, H2).
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { z } from "zod";
import { callService, ServiceError, serviceUrl } from "../../http/service-call.ts";

export const REGISTRY = "https://registry.npmjs.org";
const PACKAGE = "@twsxtd/hapi";
const MAX_PACKED = 256 * 1024 * 1024;
const MAX_PROGRAM = 512 * 1024 * 1024;
const SILENCE_MS = 30_000;

const main = z.object({ version: z.string(), optionalDependencies: z.record(z.string(), z.string()) });
const ofPlatform = z.object({ dist: z.object({ tarball: z.string(), integrity: z.string() }) });

export interface Downloaded {
  readonly executable: string;
  /** With its version. */
  readonly name: string;
}

/** Into an empty folder. @throws Error with a sentence; then nothing in the folder may be run. */
export async function downloadCli(
  folder: string,
  {
    registry = REGISTRY,
    platform = `${process.platform}-${process.arch}`,
  }: { registry?: string; platform?: string } = {},
): Promise<Downloaded> {
  const name = `${PACKAGE}-${platform}`;
  const { optionalDependencies } = await facts(registry, `${PACKAGE}/latest`, main);
  const version = Object.hasOwn(optionalDependencies, name) ? optionalDependencies[name] : undefined;
  if (version === undefined) throw new Error(`There is no hapi for ${platform} in ${registry}.`);
  if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) throw new Error(`${registry} tells no version of ${name}.`);
  const { dist } = await facts(registry, `${name}/${version}`, ofPlatform);
  const sha512 = /(?:^|\s)sha512-([A-Za-z0-9+/]{86}==)(?:\s|$)/.exec(dist.integrity)?.[1];
  if (sha512 === undefined) throw new Error(`${registry} tells no SHA-512 of ${name} ${version}.`);
  if (URL.parse(dist.tarball)?.origin !== new URL(registry).origin)
    throw new Error(`${registry} keeps ${name} ${version} elsewhere, and no other place is asked.`);
  const packed = join(folder, "hapi.tgz");
  if ((await fetched(dist.tarball, packed)) !== sha512)
    throw new Error(
      `What ${registry} sent as ${name} ${version} does not match its integrity value. Nothing of it was used.`,
    );
  const executable = join(folder, process.platform === "win32" ? "hapi.exe" : "hapi");
  await unpack(packed, executable);
  return { executable, name: `${name}@${version}` };
}

async function facts<T extends z.ZodType>(registry: string, path: string, schema: T): Promise<z.output<T>> {
  const [scope = "", ...rest] = path.split("/");
  const url = serviceUrl(registry, `/${scope}%2f${rest.join("/")}`);
  try {
    const answer = await callService(url);
    if (!answer.ok) throw new ServiceError(`it answers with status ${answer.status}`);
    return answer.json(schema);
  } catch (error) {
    throw new Error(`${url} could not be read: ${wordsOf(error)}.`);
  }
}

/** @returns its SHA-512 in base64. */
async function fetched(url: string, path: string): Promise<string> {
  const hash = createHash("sha512");
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const file = await open(path, "wx", 0o600);
  try {
    const answer = await fetch(url, { redirect: "manual", signal: silence.signal });
    if (answer.status !== 200 || answer.body === null)
      throw new Error(`it answers with status ${answer.status}`);
    let bytes = 0;
    for await (const chunk of answer.body) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      bytes += chunk.byteLength;
      if (bytes > MAX_PACKED) throw new Error("it is larger than any release");
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    return hash.digest("base64");
  } catch (error) {
    throw new Error(`${url} could not be downloaded: ${wordsOf(error)}.`);
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

/** The program alone, whatever else is in it. */
async function unpack(packed: string, executable: string): Promise<void> {
  let isFound = false;
  const archive = extract();
  const reading = pipeline(createReadStream(packed), createGunzip(), archive);
  const looking = (async () => {
    for await (const entry of archive) {
      const { name, type, size = 0 } = entry.header;
      const isProgram = type === "file" && (name === "package/bin/hapi" || name === "package/bin/hapi.exe");
      if (!isProgram || isFound) entry.resume();
      else {
        if (size > MAX_PROGRAM) throw new Error("it is larger than any release");
        await pipeline(entry, bounded(), createWriteStream(executable, { mode: 0o700, flags: "wx" }));
        isFound = true;
      }
    }
  })();
  try {
    await Promise.all([reading, looking]);
  } catch (error) {
    throw new Error(`The package of hapi cannot be unpacked: ${wordsOf(error)}.`);
  }
  if (!isFound) throw new Error("The package of hapi has no program in it.");
}

function bounded(): Transform {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _, done) => {
      bytes += chunk.byteLength;
      done(bytes > MAX_PROGRAM ? new Error("it is larger than any release") : null, chunk);
    },
  });
}

const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
