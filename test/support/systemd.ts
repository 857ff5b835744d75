// A machine that was started by a real systemd, in namespaces of its own: the host's programs read-only, everything else empty and
// gone afterwards. Needs root on Linux with systemd and namespaces: `bootable`.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Need, needs } from "./needs.ts";
import { type Finished, run, untilTheRunEnds } from "./process.ts";
import { until } from "./until.ts";

const INIT = `set -e
root=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc/systemd/system var/tmp var/log run tmp proc sys dev old root
chmod 1777 tmp var/tmp
mount --bind /usr usr
mount -t tmpfs tmpfs usr/local/bin
cp "$2" usr/local/bin/roost-under-test
for folder in bin sbin lib lib64; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$folder"
  elif [ -d "/$folder" ]; then mkdir "$folder"; mount --bind "/$folder" "$folder"; fi
done
for file in ld.so.cache ld.so.conf passwd group nsswitch.conf; do
  if [ -e "/etc/$file" ]; then cp "/etc/$file" etc/; fi
done
echo 0123456789abcdef0123456789abcdef > etc/machine-id
printf '[Unit]\\nDefaultDependencies=no\\nAllowIsolate=yes\\n' > etc/systemd/system/boot.target
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs tmpfs run
pivot_root . old
umount -l /old
export container=roost-test PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec /lib/systemd/systemd --unit=boot.target --log-target=null </dev/null
`;
const NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--cgroup"];
const PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const BOOT_MS = 20_000;

export function bootable(): Need {
  return needs.all(
    needs.program("systemctl", () => existsSync("/lib/systemd/systemd") && Bun.which("systemctl")),
    needs.program("unshare"),
    needs.program("nsenter"),
    needs.program("pgrep"),
    needs.machine("namespaces with root rights", () => {
      if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
      const command = ["unshare", ...NAMESPACES, "--fork", "mount", "-t", "proc", "proc", "/proc"];
      return Bun.spawnSync(command).exitCode === 0;
    }),
  );
}

export class Machine {
  readonly #host: Bun.Subprocess;
  #first = 0;

  private constructor(host: Bun.Subprocess) {
    this.#host = host;
  }

  /** Resolves when it is up. The executable is in it as `roost-under-test`. */
  static async boot(folder: string, executable: string): Promise<Machine> {
    const [root, script] = [join(folder, "root"), join(folder, "init.sh")];
    mkdirSync(root);
    writeFileSync(script, INIT);
    const machine = new Machine(
      untilTheRunEnds(
        Bun.spawn(["unshare", "--fork", "--kill-child", ...NAMESPACES, "sh", script, root, executable], {
          stdin: "ignore",
          stdout: "ignore",
          stderr: "ignore",
        }),
      ),
    );
    try {
      await until("the machine to boot", () => machine.#isUp(), BOOT_MS);
    } catch (error) {
      await machine.end();
      throw error;
    }
    return machine;
  }

  run(...command: string[]): Promise<Finished> {
    const enter = ["nsenter", "--target", `${this.#first}`, ...NAMESPACES, "--root", "--wd"];
    return run([...enter, ...command], { env: { PATH } });
  }

  /** Nothing that ran in it is left. */
  async end(): Promise<void> {
    this.#host.kill("SIGKILL");
    await this.#host.exited;
  }

  async #isUp(): Promise<boolean> {
    const [first] = (await Bun.$`pgrep --parent ${this.#host.pid}`.nothrow().quiet().text()).split("\n");
    this.#first = Number(first);
    return this.#first > 0 && (await this.run("systemctl", "is-system-running")).stdout.trim() === "running";
  }
}
