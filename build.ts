// Compiles Roost into single executables; workers, migrations and assets are embedded, and source maps lie beside.
//   bun build.ts                  this platform:  dist/roost-<os>-<arch>
//   bun build.ts --target NAME    another one:    dist/roost-<os>-<arch>
//   bun build.ts --all            every platform: dist/roost-<version>-<os>-<arch> with dist/SHA256SUMS, each within its size limits
// Another platform's runtime is a package of the npm registry, which Bun's own compiler fetches once and keeps in its cache.

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { $, type Build } from "bun";
import packageJson from "./package.json" with { type: "json" };

const DIST = join(import.meta.dir, "dist");
const SOURCE = join(import.meta.dir, "src");
/** Threads have an entry of their own in the executable. */
const workers = [...new Bun.Glob("**/*-worker.ts").scanSync({ cwd: SOURCE, absolute: true })].sort();

const TARGETS = {
  "linux-x64": "bun-linux-x64",
  "linux-x64-baseline": "bun-linux-x64-baseline",
  "linux-arm64": "bun-linux-arm64",
  "linux-x64-musl": "bun-linux-x64-musl",
  "linux-arm64-musl": "bun-linux-arm64-musl",
  "darwin-x64": "bun-darwin-x64",
  "darwin-arm64": "bun-darwin-arm64",
  "windows-x64": "bun-windows-x64",
} as const satisfies Record<string, Build.CompileTarget>;

type Target = keyof typeof TARGETS;

/** Of one executable, as it is and packed with zstd. */
const MAX_BYTES = 125_000_000;
const MAX_PACKED_BYTES = 50_000_000;
/** Bun's own program for Windows is that much larger. */
const MAX_WINDOWS_BYTES = 135_000_000;
const MAX_PACKED_WINDOWS_BYTES = 60_000_000;
/** From seconds to a minute and a half: each is asked only about what the one before does not make small enough. */
const ZSTD_LEVELS = [9, 17, 19] as const;

class BuildError extends Error {}

const isTarget = (name: string): name is Target => name in TARGETS;

function ownTarget(): Target {
  const name = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  if (isTarget(name)) return name;
  throw new BuildError(`There is no build for ${name}. Known are: ${Object.keys(TARGETS).join(", ")}.`);
}

/** What `roost --version` says. A build away from git, such as a container's, is told its commit. */
async function facts(): Promise<Record<string, string>> {
  const described = await $`git describe --always --dirty --exclude="*"`
    .cwd(import.meta.dir)
    .nothrow()
    .quiet();
  const epoch = process.env.SOURCE_DATE_EPOCH;
  return {
    ROOST_COMMIT: JSON.stringify(process.env.COMMIT || described.text().trim() || "unknown"),
    ROOST_BUILT: JSON.stringify((epoch ? new Date(Number(epoch) * 1000) : new Date()).toISOString()),
    "process.env.NODE_ENV": JSON.stringify("production"),
  };
}

/** Compiles apart and moves into place, so that an executable that runs meanwhile is replaced, not overwritten. @returns its path. */
async function compile(target: Target, name: string, define: Record<string, string>): Promise<string> {
  mkdirSync(DIST, { recursive: true });
  const work = mkdtempSync(join(DIST, ".build-"));
  try {
    const result = await Bun.build({
      entrypoints: [join(SOURCE, "main.ts"), ...workers],
      // Flat, so that `new URL("./x-worker.ts", import.meta.url)` names the same file here as in the sources.
      naming: { entry: "[name].[ext]" },
      compile: {
        outfile: join(work, name),
        // Our own platform needs nothing fetched: the running Bun is the runtime.
        ...(target === ownTarget() ? {} : { target: TARGETS[target] }),
        // What decides how a server runs is its settings, never a file that happens to lie where it was started.
        autoloadDotenv: false,
        autoloadBunfig: false,
      },
      format: "esm",
      minify: true,
      // Halves the time to the first answer. The functions inside functions would bring little more, for 2.5 MB.
      bytecode: true,
      bytecodeDepth: 1,
      sourcemap: "linked",
      define,
    });
    if (!result.success) throw new BuildError(result.logs.map(String).join("\n"));
    if (target === "darwin-x64") removeSignature(join(work, name));
    const file = target.startsWith("windows") ? `${name}.exe` : name;
    chmodSync(join(work, file), 0o755);
    for (const made of new Bun.Glob("*").scanSync({ cwd: work, dot: true })) {
      const kept = made === file || made === `${name}.map` ? made : `${name}.${made}`;
      renameSync(join(work, made), join(DIST, kept));
    }
    return join(DIST, file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Bun signs for macOS on arm64, which wants it, and leaves its own signature on x64, where it fits the changed file no more and would
 * end the process; there, none is needed. This is `codesign --remove-signature` for Mach-O: the load command goes, and what it names
 * at the end of the file.
 */
function removeSignature(path: string): void {
  const LC_SEGMENT_64 = 0x19;
  const LC_CODE_SIGNATURE = 0x1d;
  const HEADER_BYTES = 32;
  const file = readFileSync(path);
  const [count, commandBytes] = [file.readUInt32LE(16), file.readUInt32LE(20)];
  let linkEdit = 0;
  for (let at = HEADER_BYTES, index = 0; index < count; index++) {
    const [command, size] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    if (command === LC_SEGMENT_64 && file.toString("latin1", at + 8, at + 18) === "__LINKEDIT") linkEdit = at;
    if (command === LC_CODE_SIGNATURE) {
      const [start, bytes] = [file.readUInt32LE(at + 8), file.readUInt32LE(at + 12)];
      const segmentStart = Number(file.readBigUInt64LE(linkEdit + 40));
      if (linkEdit === 0 || start + bytes !== file.byteLength) break;
      file.copy(file, at, at + size, HEADER_BYTES + commandBytes);
      file.fill(0, HEADER_BYTES + commandBytes - size, HEADER_BYTES + commandBytes);
      file.writeUInt32LE(count - 1, 16);
      file.writeUInt32LE(commandBytes - size, 20);
      file.writeBigUInt64LE(BigInt(start - segmentStart), linkEdit + 48);
      writeFileSync(path, file.subarray(0, start));
      return;
    }
    at += size;
  }
  throw new BuildError(
    `The signature of ${path} could not be removed; its format is not the one that is known.`,
  );
}

function checkSize(path: string): number {
  const { size } = statSync(path);
  const most = path.endsWith(".exe") ? MAX_WINDOWS_BYTES : MAX_BYTES;
  if (size > most) throw new BuildError(`${path} has ${size} bytes; at most ${most} are allowed.`);
  return size;
}

async function checkPackedSize(path: string): Promise<string> {
  const bytes = await Bun.file(path).bytes();
  const most = path.endsWith(".exe") ? MAX_PACKED_WINDOWS_BYTES : MAX_PACKED_BYTES;
  let packed = 0;
  for (const level of ZSTD_LEVELS) {
    packed = (await Bun.zstdCompress(bytes, { level })).byteLength;
    if (packed <= most) return `${megabytes(packed)} with zstd -${level}`;
  }
  throw new BuildError(`${path} packs to ${packed} bytes; at most ${most} are allowed.`);
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function buildAll(): Promise<void> {
  const define = await facts();
  const sums: string[] = [];
  for (const target of Object.keys(TARGETS).filter(isTarget)) {
    const path = await compile(target, `roost-${packageJson.version}-${target}`, define);
    const [size, packed] = [checkSize(path), await checkPackedSize(path)];
    const name = path.slice(DIST.length + 1);
    sums.push(
      `${new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex")}  ${name}\n`,
    );
    console.log(`dist/${name}: ${megabytes(size)}, packed ${packed}`);
  }
  await Bun.write(join(DIST, "SHA256SUMS"), sums.join(""));
}

async function buildOne(target: Target): Promise<void> {
  const path = await compile(target, `roost-${target}`, await facts());
  console.log(`dist/${path.slice(DIST.length + 1)}: ${megabytes(checkSize(path))}`);
}

async function main(argv: readonly string[]): Promise<number> {
  const [option, target, ...rest] = argv;
  const usage = `Usage: bun build.ts [--all | --target ${Object.keys(TARGETS).join("|")}]`;
  try {
    if (option === undefined) await buildOne(ownTarget());
    else if (option === "--all" && target === undefined) await buildAll();
    else if (option === "--target" && target !== undefined && isTarget(target) && rest.length === 0)
      await buildOne(target);
    else {
      console.error(usage);
      return 2;
    }
    return 0;
  } catch (error) {
    console.error(error instanceof AggregateError ? error.errors.map(String).join("\n") : String(error));
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
