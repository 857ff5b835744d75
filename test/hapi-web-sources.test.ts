// Where `roost hapi web` gets the app from: a program, a registry, the released hapi; and what the doctor says of the copy.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { installedHapi } from "./clients/hapi-release.ts";
import { startReleasedHub } from "./support/hapi-release.ts";
import { hapiWeb } from "./support/hapi-web.ts";
import { needs } from "./support/needs.ts";
import { runRoost } from "./support/process.ts";
import { until } from "./support/until.ts";

// Every command is a process of its own.
setDefaultTimeout(60_000);

const { place, hub, folder, web, server } = hapiWeb();

/** Behaves like the released program as far as its web app is concerned: a wrapper that starts the hub as a process of its own. */
function program(path: string, url: string): string {
  const script = `
    if (process.argv[2] === "--version") { console.log("hapi version: 9.8.7"); process.exit(0); }
    if (process.argv.slice(2).join(" ") !== "hub --no-relay") process.exit(3);
    const { HAPI_HOME, HAPI_LISTEN_HOST, HAPI_LISTEN_PORT, HAPI_ANDROID_PUSH, HAPI_IOS_PUSH } = process.env;
    if (HAPI_ANDROID_PUSH !== "off" || HAPI_IOS_PUSH !== "off") process.exit(4);
    require("node:fs").writeFileSync(HAPI_HOME + "/made", "");
    require("node:fs").appendFileSync(${JSON.stringify(`${path}.log`)}, HAPI_HOME + " " + process.pid + "\\n");
    Bun.serve({ hostname: HAPI_LISTEN_HOST, port: Number(HAPI_LISTEN_PORT), fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") return Response.json({ status: "ok", protocolVersion: 1 });
      return fetch(${JSON.stringify(url)} + pathname);
    } });`;
  writeFileSync(`${path}.js`, script);
  writeFileSync(path, `#!/bin/sh\n"${process.execPath}" "${path}.js" "$@"\nexit $?\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Nothing that it started runs, and its home is gone. */
function leftBehind(path: string): string[] {
  return readFileSync(`${path}.log`, "utf8")
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [home = "", pid = ""] = line.split(" ");
      const runs = Bun.spawnSync(["kill", "-0", pid]).exitCode === 0;
      return [
        ...(runs ? [`process ${pid}`] : []),
        ...(readdirSync(tmpdir()).includes(home.split("/").at(-1) ?? "") ? [home] : []),
      ];
    });
}

describe("from a program", () => {
  test("that is named or on the PATH: its hub runs for a moment in a home of its own", async () => {
    const path = program(join(place, "hapi"), hub.url);
    const dataDir = folder();
    const got = await web(dataDir, "install", "--from-cli", path);
    expect([got.stderr, got.code]).toEqual(["", 0]);
    expect(got.stdout).toContain(`from ${path} (9.8.7)`);
    const env = { PATH: `${place}:${process.env.PATH}`, HOME: place };
    const found = await runRoost(["hapi", "web", "install", "--data-dir", dataDir], { cwd: place, env });
    expect(found.stdout).toContain("already the same");
    expect((await web(dataDir, "update")).stdout).toContain("already the same");
    await until("nothing of it to be left", () => leftBehind(path).length === 0);
  });

  test("that is not there, or does not start: both ways are named, and nothing stays behind", async () => {
    const dataDir = folder();
    const env = { PATH: "/nowhere", HOME: place };
    const none = await runRoost(["hapi", "web", "install", "--data-dir", dataDir], { cwd: place, env });
    expect(none.stderr).toContain("npm i -g @twsxtd/hapi");
    expect(none.stderr).toContain("--from URL");
    expect((await web(dataDir, "install", "--from-cli", join(place, "nothing"))).stderr).toContain(
      "no program",
    );
    expect((await web(dataDir, "install", "--from-cli", "/bin/false")).stderr).toContain("did not start");
    const broken = program(join(place, "broken-hapi"), "http://127.0.0.1:1");
    const failed = await web(dataDir, "install", "--from-cli", broken);
    expect(failed.code).toBe(1);
    await until("nothing of it to be left", () => leftBehind(broken).length === 0);
    expect((await web(dataDir, "status")).stdout).toContain("not installed");
  });
});

describe("from a registry", () => {
  const name = `@twsxtd/hapi-${process.platform}-${process.arch}`;

  let packed = 0;
  async function registry(bend: { integrity?: string; tarball?: string } = {}) {
    const archive = pack();
    const path = program(join(place, `packed-${++packed}`), hub.url);
    archive.entry({ name: "package/package.json" }, "{}");
    archive.entry({ name: "package/bin/hapi", mode: 0o755 }, readFileSync(path));
    archive.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const tarball = gzipSync(Buffer.concat(chunks));
    const sha512 = createHash("sha512").update(tarball).digest("base64");
    const asked: string[] = [];
    const served: Bun.Server<undefined> = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ url }) => {
        const target = decodeURIComponent(new URL(url).pathname);
        asked.push(target);
        const self = `http://127.0.0.1:${served.port}`;
        if (target === "/@twsxtd/hapi/latest")
          return Response.json({ version: "9.8.7", optionalDependencies: { [name]: "9.8.7" } });
        if (target === `/${name}/9.8.7`)
          return Response.json({
            dist: {
              integrity: bend.integrity ?? `sha512-${sha512}`,
              tarball: bend.tarball ?? `${self}/hapi.tgz`,
            },
          });
        return target === "/hapi.tgz" ? new Response(tarball) : new Response("no", { status: 404 });
      },
    });
    return { url: `http://127.0.0.1:${served.port}`, path, asked, stop: () => served.stop(true) };
  }

  test("what is downloaded is what the registry vouches for; a download is never made unasked", async () => {
    const npm = await registry();
    const dataDir = folder();
    const got = await web(dataDir, "install", "--download", "--registry", npm.url);
    expect([got.stderr, got.code]).toEqual(["", 0]);
    expect(got.stdout).toContain(`from ${name}@9.8.7 (9.8.7)`);
    const count = npm.asked.length;
    const update = await web(dataDir, "update");
    expect([update.code, npm.asked.length]).toEqual([1, count]);
    expect(update.stderr).toContain("roost hapi web update --download");
    await until("nothing of it to be left", () => leftBehind(npm.path).length === 0);
    expect(readdirSync(tmpdir()).filter((one) => one.startsWith("roost-hapi-cli-"))).toEqual([]);
    await npm.stop();
  });

  test.each([
    [{ integrity: `sha512-${"A".repeat(86)}==` }, "does not match its integrity value"],
    [{ integrity: "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=" }, "tells no SHA-512"],
    [{ tarball: "http://127.0.0.1:1/hapi.tgz" }, "elsewhere"],
  ])("nothing is run for %j", async (bend, sentence) => {
    const npm = await registry(bend);
    const failed = await web(folder(), "install", "--download", "--registry", npm.url);
    expect(failed.stderr).toContain(sentence);
    expect(await Bun.file(`${npm.path}.log`).exists()).toBe(false);
    await npm.stop();
  });
});

test("the doctor tells what is there and what is not whole", async () => {
  const dataDir = folder();
  const look = async () => {
    const { stdout } = await runRoost(["doctor", "--json", "--data-dir", dataDir, "--hapi-enabled", "true"], {
      cwd: place,
    });
    const all = JSON.parse(stdout) as { findings?: unknown[] } | unknown[];
    const findings = (Array.isArray(all) ? all : (all.findings ?? [])) as { check: string; result: string }[];
    return findings.find(({ check }) => check === "hapi-web")?.result;
  };
  expect(await look()).toBe("skipped");
  await web(dataDir, "install", "--from", hub.url);
  expect(await look()).toBe("ok");
  const { current } = JSON.parse(readFileSync(join(dataDir, "hapi-web", "current.json"), "utf8"));
  rmSync(join(dataDir, "hapi-web", current, "favicon.ico"));
  expect(await look()).toBe("warning");
  await web(dataDir, "update");
  expect(await look()).toBe("ok");
});

needs.installed("the released hapi 0.30.7", installedHapi()).test(
  "the app of the released hapi, file by file what its own hub serves, from the program and from that hub",
  async () => {
    const dataDir = folder();
    const got = await web(dataDir, "install", "--from-cli", installedHapi() ?? "");
    expect([got.stderr, got.code]).toEqual(["", 0]);
    expect(got.stdout).toMatch(/\(0\.30\.7\), \d{4}-\d\d-\d\d, 150 files/);
    const released = await startReleasedHub();
    const roost = await server({ dataDir });
    try {
      const again = await web(dataDir, "install", "--from", released.url);
      expect(again.stdout).toContain("already the same");
      const copy = join(
        dataDir,
        "hapi-web",
        JSON.parse(readFileSync(join(dataDir, "hapi-web", "current.json"), "utf8")).current,
      );
      const names = readdirSync(copy, { recursive: true, withFileTypes: true })
        .filter(
          (entry) => entry.isFile() && !entry.parentPath.includes(".gzip") && entry.name !== "source.json",
        )
        .map((entry) => relative(copy, join(entry.parentPath, entry.name)));
      expect(names.length).toBe(150);
      const typeOf = ({ headers }: { headers: Headers }) => headers.get("content-type")?.split(";")[0];
      for (const path of [...names.map((name) => `/${name}`), "/sessions/x/terminal", "/assets/gone.js"]) {
        const [theirs, ours] = await Promise.all([bytesOf(released.url + path), bytesOf(roost.url + path)]);
        expect([path, ours.status, typeOf(ours)]).toEqual([path, theirs.status, typeOf(theirs)]);
        expect(ours.bytes.equals(theirs.bytes)).toBe(true);
      }
    } finally {
      await Promise.all([roost.stop(), released.stop()]);
      await released.remove();
    }
  },
  120_000,
);

async function bytesOf(url: string) {
  const answer = await fetch(url);
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}
