// Roost as a systemd service: the unit as systemd itself judges it, and the whole life of the service on a machine that a real
// systemd runs. Each is skipped by name where its tools are not.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executable, Folder } from "./support/executable.ts";
import { needs } from "./support/needs.ts";
import { roostCommand } from "./support/process.ts";
import { bootable, Machine } from "./support/systemd.ts";

const file = executable() ?? "";
const built = needs.executable(executable());

let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

test.each([
  [[], "ExecStart=/usr/local/bin/roost serve\n"],
  [["--port", "4000"], "ExecStart=/usr/local/bin/roost serve --port 4000\n"],
  [
    ["--public-url", "https://x.test/a b%$"],
    'ExecStart=/usr/local/bin/roost serve --public-url "https://x.test/a b%%$$"\n',
  ],
  [["--port", "443"], "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"],
  [["--port", "4000"], "CapabilityBoundingSet=\n"],
])("print %j", async (flags, line) => {
  const { code, stdout } = await folder.run([...roostCommand(), "service", "print", ...flags]);
  expect(stdout).toContain(line);
  expect(code).toBe(0);
});

test.each([
  [["service"], /^roost: Say what to do: "roost service install"/],
  [["service", "print", "--prot", "1"], /^roost: Unknown setting --prot. Did you mean --port\?\n$/],
  [
    ["service", "print", "--master-secret", "hush"],
    /^roost: --master-secret is a secret: put it into \/etc\/roost\/roost.env/,
  ],
  [
    ["service", "print", "--data-dir", "/x"],
    /^roost: --data-dir is fixed for the service: \/var\/lib\/roost.\n$/,
  ],
  [
    ["service", "install", "--root", "/gone"],
    /^roost: --root needs the folder of a file system that is there.\n$/,
  ],
])("%j is one sentence and exit code 2", async (argv, sentence) => {
  const { code, stdout, stderr } = await folder.run([...roostCommand(), ...argv]);
  expect(stderr).toMatch(sentence);
  expect(stderr).not.toContain("hush");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

needs.program("systemd-analyze").test("systemd finds the unit correct and well protected", async () => {
  for (const [flags, exposure] of [
    [[], 15],
    [["--port", "443"], 25],
  ] as const) {
    const { stdout } = await folder.run([...roostCommand(), "service", "print", ...flags]);
    writeFileSync(join(folder.path, "roost.service"), stdout);
    const verified = await folder.run(["systemd-analyze", "verify", "./roost.service"]);
    // The executable is not installed here; nothing else may be complained about.
    expect(verified.stderr.replace(/^.*Command \/usr\/local\/bin\/roost is not executable.*\n/m, "")).toBe(
      "",
    );
    const judged = await folder.run([
      "systemd-analyze",
      "security",
      "--offline=true",
      "--no-pager",
      `--threshold=${exposure}`,
      "./roost.service",
    ]);
    expect(judged.stdout + judged.stderr).toContain("Overall exposure level for roost.service: ");
    expect(judged.code).toBe(0);
  }
});

needs
  .all(built, needs.program("systemctl"))
  .test(
    "install --root prepares another file system, keeps settings that are there, and uninstall keeps data",
    async () => {
      const root = join(folder.path, "root");
      const at = (path: string) => join(root, path);
      mkdirSync(at("var/lib/roost"), { recursive: true });
      const env = { PATH: process.env.PATH ?? "" };
      const installed = await folder.run([file, "service", "install", "--root", root, "--port", "4000"], env);
      expect(installed).toMatchObject({ code: 0, stderr: "" });
      expect(statSync(at("usr/local/bin/roost")).size).toBe(statSync(file).size);
      expect(readFileSync(at("etc/systemd/system/roost.service"), "utf8")).toContain(
        "roost serve --port 4000\n",
      );
      expect(lstatSync(at("etc/systemd/system/multi-user.target.wants/roost.service")).isSymbolicLink()).toBe(
        true,
      );
      writeFileSync(at("etc/roost/roost.yaml"), "logLevel: debug\n");
      expect((await folder.run([file, "service", "install", "--root", root], env)).code).toBe(0);
      expect(readFileSync(at("etc/roost/roost.yaml"), "utf8")).toBe("logLevel: debug\n");
      expect((await folder.run([file, "service", "uninstall", "--root", root], env)).code).toBe(0);
      for (const gone of ["usr/local/bin/roost", "etc/systemd/system/roost.service"])
        expect(existsSync(at(gone))).toBe(false);
      expect(existsSync(at("etc/roost/roost.yaml")) && existsSync(at("var/lib/roost"))).toBe(true);
      expect(await folder.run([file, "service", "uninstall", "--root", root], env)).toMatchObject({
        code: 1,
        stderr: `roost: There is no service: ${at("etc/systemd/system/roost.service")} is not there.\n`,
      });
    },
  );

needs.all(built, bootable()).test(
  "on a real systemd: ready when it answers, unprivileged, restarted when killed, reloaded, stopped, not retried when misconfigured",
  async () => {
    const machine = await Machine.boot(folder.path, file);
    try {
      const property = async (name: string) =>
        (await machine.run("systemctl", "show", "-p", name, "--value", "roost")).stdout.trim();
      const is = async (name: string, value: string) => {
        for (const bound = Date.now() + 20_000; (await property(name)) !== value; await Bun.sleep(50))
          if (Date.now() > bound) throw new Error(`${name} is ${await property(name)} and not ${value}`);
      };
      const installed = await machine.run("roost-under-test", "service", "install", "--port", "0");
      expect(installed).toMatchObject({ code: 0, stderr: "" });
      // `install` returns when systemd was told that the server is ready: it answers without waiting.
      const health = () => machine.run("roost", "health", "--data-dir", "/var/lib/roost", "--port", "1");
      expect(await health()).toMatchObject({ code: 0, stderr: "" });
      expect(await property("StatusText")).toMatch(/^Listening on port \d+$/);
      const facts = (await machine.run("cat", `/proc/${await property("MainPID")}/status`)).stdout;
      expect(facts).not.toMatch(/^Uid:\t0/m);
      expect(facts).toMatch(/^CapEff:\t0{16}$/m);
      expect(facts).toMatch(/^NoNewPrivs:\t1$/m);
      expect(facts).toMatch(/^Seccomp:\t2$/m);

      await machine.run("kill", "-9", await property("MainPID"));
      await is("NRestarts", "1");
      await is("ActiveState", "active");
      expect((await health()).code).toBe(0);

      await machine.run("sh", "-c", "echo 'logLevel: debug' > /etc/roost/roost.yaml");
      expect((await machine.run("systemctl", "reload", "roost")).code).toBe(0);
      await is("ActiveState", "active");

      expect((await machine.run("systemctl", "stop", "roost")).code).toBe(0);
      expect(await property("Result")).toBe("success");
      expect((await health()).code).toBe(1);

      await machine.run("sh", "-c", "echo 'prot: 1' > /etc/roost/roost.yaml");
      expect((await machine.run("systemctl", "start", "roost")).code).not.toBe(0);
      await is("ActiveState", "failed");
      expect(await property("ExecMainStatus")).toBe("2");
      expect(await property("NRestarts")).toBe("0");

      expect((await machine.run("roost", "service", "uninstall")).code).toBe(0);
      expect((await machine.run("ls", "/var/lib/private/roost/happy.db")).code).toBe(0);
    } finally {
      await machine.end();
    }
  },
  60_000,
);
