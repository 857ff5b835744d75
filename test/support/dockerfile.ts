// A Dockerfile carried out without Docker: the steps of the build stage run in a root of their own over this machine's programs,
// and the final stage's files are laid into a folder. Knows the instructions that ours uses and refuses others. Needs root on
// Linux with namespaces.
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Need, needs } from "./needs.ts";

interface Instruction {
  readonly name: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly rest: string;
}

interface Stage {
  readonly base: string;
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export interface Image {
  /** The root of its file system. */
  readonly root: string;
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly volumes: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

export function containable(): Need {
  return needs.all(
    ...(["unshare", "nsenter", "setpriv"] as const).map((tool) => needs.program(tool)),
    needs.machine("namespaces with root rights", () => {
      if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
      return Bun.spawnSync(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).exitCode === 0;
    }),
  );
}

export function parseDockerfile(text: string): Stage[] {
  const stages: { base: string; name: string; instructions: Instruction[] }[] = [];
  const lines = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n/g, " ");
  for (const line of lines.split("\n").filter((one) => one.trim() !== "")) {
    const [, name = "", tail = ""] = /^(\w+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === "FROM") {
      const [base = "", , as = ""] = tail.split(/\s+/);
      stages.push({ base, name: as, instructions: [] });
      continue;
    }
    const flags: Record<string, string> = {};
    const rest = tail.replace(/^(--[\w-]+=\S+\s+)+/, (all) => {
      for (const flag of all.trim().split(/\s+/)) {
        const [key = "", value = ""] = flag.slice(2).split("=");
        flags[key] = value;
      }
      return "";
    });
    stages.at(-1)?.instructions.push({ name, flags, rest });
  }
  return stages;
}

/** Builds the image of `context`/Dockerfile under `folder`. @throws Error with the output of a step that failed. */
export function buildImage(context: string, folder: string): Image {
  const [build, final] = parseDockerfile(readFileSync(join(context, "Dockerfile"), "utf8"));
  if (build === undefined || final?.base !== "scratch")
    throw new Error("the last stage is expected to begin with nothing");
  const buildRoot = join(folder, "build");
  runBuildStage(build, context, buildRoot);
  return layOut(final, buildRoot, join(folder, "image"));
}

function runBuildStage(stage: Stage, context: string, root: string): void {
  const env: Record<string, string> = {};
  let workdir = "/";
  mkdirSync(root, { recursive: true });
  for (const { name, rest } of stage.instructions) {
    if (name === "WORKDIR") {
      workdir = rest;
      mkdirSync(join(root, workdir), { recursive: true });
    } else if (name === "ARG") {
      const [key = "", value = ""] = rest.split("=");
      env[key] = value.replace(/^"(.*)"$/, "$1");
    } else if (name === "COPY") copyContext(context, rest.split(/\s+/), join(root, workdir));
    else if (name === "RUN") runStep(root, workdir, env, rest);
    else throw new Error(`the build stage has an instruction that is not known here: ${name}`);
  }
}

/** What .dockerignore leaves: the last pattern that fits a top-level name decides. */
function copyContext(context: string, words: readonly string[], workdir: string): void {
  const rules = readFileSync(join(context, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const kept = (name: string) =>
    rules.reduce((keep, rule) => {
      const pattern = rule.replace(/^!/, "");
      return new Bun.Glob(pattern).match(name) ? rule.startsWith("!") : keep;
    }, true);
  const [target = "", ...sources] = words.toReversed();
  for (const name of readdirSync(context).filter(kept))
    if (sources.includes(".") || sources.includes(name))
      cpSync(join(context, name), join(workdir, target, name), { recursive: true });
}

/** The programs of this machine, read-only; everything that a step writes stays under the root. */
const STEP = `set -e
cd "$1"
for folder in usr etc bin sbin lib lib64; do
  if [ -L "/$folder" ]; then [ -L "$folder" ] || cp -P "/$folder" "$folder"
  elif [ -d "/$folder" ]; then mkdir -p "$folder"; mount --rbind -o ro "/$folder" "$folder"; fi
done
mkdir -p dev proc tmp root cache bun
mount --rbind /dev dev
mount -t proc proc proc
mount --bind "$2" cache
: > bun/bun
mount --bind "$5" bun/bun
exec chroot . /bin/sh -ec "cd $3; $4"
`;

function runStep(root: string, workdir: string, env: Record<string, string>, step: string): void {
  const cache = process.env.BUN_INSTALL_CACHE_DIR ?? join(process.env.HOME ?? "/root", ".bun/install/cache");
  mkdirSync(cache, { recursive: true });
  const { PATH = "", SSL_CERT_FILE, NODE_EXTRA_CA_CERTS } = process.env;
  const passed = { SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, ...registryOf(process.env) };
  const done = Bun.spawnSync(
    [
      "unshare",
      "--mount",
      "--pid",
      "--fork",
      "sh",
      "-c",
      STEP,
      "sh",
      root,
      cache,
      workdir,
      step,
      process.execPath,
    ],
    {
      env: {
        // The base image has Bun on its PATH; this machine need not.
        PATH: `/bun:${PATH}`,
        HOME: "/root",
        TMPDIR: "/tmp",
        BUN_INSTALL_CACHE_DIR: "/cache",
        ...defined(passed),
        ...env,
      },
    },
  );
  if (done.exitCode !== 0) throw new Error(`RUN ${step}\n${done.stdout}${done.stderr}`);
}

/** Packages come from where this machine gets its own. */
const registryOf = (env: Record<string, string | undefined>) =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) => /^(npm_config_|NPM_CONFIG_|BUN_CONFIG_)/.test(name)),
  );

const defined = (env: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );

function layOut(stage: Stage, buildRoot: string, root: string): Image {
  mkdirSync(root);
  const image = {
    root,
    user: "0:0",
    env: {} as Record<string, string>,
    workdir: "/",
    volumes: [] as string[],
    entrypoint: [] as string[],
    command: [] as string[],
    healthcheck: [] as string[],
  };
  const list = (text: string) => JSON.parse(text) as string[];
  for (const { name, flags, rest } of stage.instructions) {
    if (name === "COPY") copyStage(buildRoot, rest, root, flags.chown);
    else if (name === "ENV") {
      const [key = "", value = ""] = rest.split("=");
      image.env[key] = value;
    } else if (name === "USER") image.user = rest;
    else if (name === "WORKDIR") image.workdir = rest;
    else if (name === "VOLUME") image.volumes.push(rest);
    else if (name === "ENTRYPOINT") image.entrypoint = list(rest);
    else if (name === "CMD") image.command = list(rest);
    else if (name === "HEALTHCHECK") image.healthcheck = list(rest.replace(/^.*CMD /, ""));
    else if (name !== "EXPOSE")
      throw new Error(`the final stage has an instruction that is not known here: ${name}`);
  }
  return image;
}

/** The content of a folder, owned by root unless the instruction says otherwise, as Docker does it. */
function copyStage(buildRoot: string, rest: string, root: string, owner = "0:0"): void {
  const [from = "", to = ""] = rest.split(/\s+/);
  const steps = `set -e; cp -a "$1" "$2"; chown -R "$3" "$2"; find "$2" -mindepth 1 -maxdepth 1 -exec cp -a -t "$4" {} +; rm -r "$2"`;
  const done = Bun.spawnSync([
    "sh",
    "-c",
    steps,
    "sh",
    join(buildRoot, from),
    `${root}.staged`,
    owner,
    join(root, to),
  ]);
  if (done.exitCode !== 0) throw new Error(`COPY ${rest}\n${done.stderr}`);
}
