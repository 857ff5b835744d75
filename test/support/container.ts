// A container of an image that dockerfile.ts built, started as Docker would start it: in the image's root, read-only but for its
// volumes, as its user, without privileges.
import { readFileSync } from "node:fs";
import type { Image } from "./dockerfile.ts";
import { type Finished, run, untilTheRunEnds } from "./process.ts";

/** As Docker does it with --read-only: /etc/hosts, /proc, a few devices, and nothing that can be written but the volumes. */
const START = `set -e
cd "$1"
mkdir -p proc dev
echo '127.0.0.1 localhost host.test' > etc/hosts
mount --bind . .
cd "$1"
for volume in $2; do mount --bind ".$volume" ".$volume"; done
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero random urandom; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
mount -o remount,bind,ro .
shift 2
exec "$@"
`;

/** One running container. */
export class Container {
  readonly #host: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #image: Image;
  readonly #env: Record<string, string>;
  readonly output: { stdout: string } = { stdout: "" };
  readonly #read: Promise<void>;

  /** `docker run -e ... image [args]`: the arguments replace the image's command. */
  constructor(image: Image, env: Record<string, string> = {}, args: readonly string[] = image.command) {
    this.#image = image;
    this.#env = { ...image.env, ...env };
    const command = [
      ...["setpriv", "--clear-groups", "--no-new-privs", "env", "-i", ...words(this.#env)],
      ...["unshare", `--root=${image.root}`, `--wd=${image.workdir}`, ...userOf(image)],
      ...[...image.entrypoint, ...args],
    ];
    const host = Bun.spawn(
      [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        START,
        "sh",
        image.root,
        image.volumes.join(" "),
        ...command,
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    this.#host = untilTheRunEnds(host);
    this.#read = (async () => {
      for await (const chunk of host.stdout.pipeThrough(new TextDecoderStream())) this.output.stdout += chunk;
    })();
  }

  /** The container's process 1, as the host sees it. */
  get pid(): number {
    return Number(readFileSync(`/proc/${this.#host.pid}/task/${this.#host.pid}/children`, "utf8").trim());
  }

  /** `docker exec`, and how Docker checks the health. */
  async exec(command: readonly string[]): Promise<Finished> {
    const enter = [
      "nsenter",
      "--target",
      `${this.pid}`,
      "--mount",
      "--pid",
      "--root",
      "--wd",
      ...userOf(this.#image),
    ];
    const bare = ["setpriv", "--clear-groups", "--no-new-privs", "env", "-i"];
    return await run([...bare, ...words(this.#env), ...enter, ...command]);
  }

  /** `docker stop`. */
  async stop(): Promise<Finished> {
    if (this.#host.exitCode === null) process.kill(this.pid, "SIGTERM");
    return await this.ended();
  }

  async ended(): Promise<Finished> {
    const [stderr, code] = await Promise.all([this.#host.stderr.text(), this.#host.exited]);
    await this.#read;
    return { code, stdout: this.output.stdout, stderr };
  }

  /** Whatever state it is in. */
  async remove(): Promise<void> {
    this.#host.kill("SIGKILL");
    await this.#host.exited;
  }
}

const words = (env: Record<string, string>) => Object.entries(env).map(([name, value]) => `${name}=${value}`);

function userOf({ user }: Image): string[] {
  const [uid, gid] = user.split(":");
  return [`--setuid=${uid}`, `--setgid=${gid}`];
}
