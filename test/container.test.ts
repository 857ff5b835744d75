// The container image, without Docker: the Dockerfile's own steps are carried out, and what they make is run as Docker would run
// it. Skipped by name where that needs more than this machine lets us do.
import { afterAll, beforeAll, expect } from "bun:test";
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { Container } from "./support/container.ts";
import { buildImage, containable, type Image } from "./support/dockerfile.ts";
import { Folder } from "./support/executable.ts";

const need = containable();
const contained = need.test;
const folder = new Folder();
let image: Image;
const started: Container[] = [];

beforeAll(() => {
  if (need.met) image = buildImage(resolve(import.meta.dir, ".."), folder.path);
}, 180_000);
afterAll(async () => {
  for (const container of started) await container.remove();
  await folder.remove();
});

function run(env?: Record<string, string>, args?: readonly string[]): Container {
  const container = new Container(image, env, args);
  started.push(container);
  return container;
}

/** Waits as Docker does: until the health check says yes. */
async function healthy(container: Container): Promise<void> {
  for (
    const bound = Date.now() + 20_000;
    (await container.exec(image.healthcheck)).code !== 0;
    await Bun.sleep(50)
  )
    if (Date.now() > bound) throw new Error(`not healthy in time: ${container.output.stdout}`);
}

contained(
  "packs to less than 64 MB and holds nothing but the executable, its libraries and a user",
  async () => {
    const archive = Bun.spawn(["tar", "-C", image.root, "-c", "."], { stdout: "pipe" });
    const packed = Bun.gzipSync(await new Response(archive.stdout).arrayBuffer(), { level: 6 });
    expect(packed.byteLength).toBeLessThan(64_000_000);
    console.log(`the image packs to ${(packed.byteLength / 1e6).toFixed(1)} MB`);
    const files = readdirSync(image.root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(image.root.length));
    const unexpected = files.filter(
      (file) => !/^\/(roost|etc\/(passwd|group|nsswitch\.conf|hosts)|lib(64)?\/.*\.so\.\d+)$/.test(file),
    );
    expect(unexpected).toEqual([]);
    for (const file of files) expect(lstatSync(join(image.root, file)).mode & 0o6022).toBe(0);
  },
);

contained(
  "serves as a user without privileges, writes nothing outside its volume, is healthy, and stops when told",
  async () => {
    const container = run({ ROOST_PORT: "0" });
    await healthy(container);
    const status = await Bun.file(`/proc/${container.pid}/status`).text();
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
    expect(status).toMatch(/^Groups:\t\s*$/m);
    expect(status).toMatch(/^CapEff:\t0{16}$/m);
    const port = /http:\/\/localhost:(\d+)/.exec(container.output.stdout)?.[1];
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: "text/plain" } });
    expect(await answer.text()).toContain("Welcome to Happy Server!");
    const { uid } = statSync(join(image.root, "data/happy.db"));
    expect(uid).toBe(65532);
    const { code, stderr } = await container.stop();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  },
  60_000,
);

contained(
  "keeps its data across containers, and the health check follows a port given on the command line",
  async () => {
    const container = run({}, ["--port", "0"]);
    await healthy(container);
    expect(container.output.stdout).toContain("Its data is in /data.");
    await container.stop();
  },
  60_000,
);

contained("is not healthy when nobody serves", async () => {
  const container = run({}, ["health"]);
  const { code, stderr } = await container.ended();
  expect(code).toBe(1);
  expect(stderr).toContain("is not well");
});

contained("looks up names with the libraries that it was given", async () => {
  const script = 'console.log((await Bun.dns.lookup("host.test", { backend: "libc" }))[0].address)';
  const container = run({ BUN_BE_BUN: "1" }, ["-e", script]);
  expect(await container.ended()).toEqual({ code: 0, stdout: "127.0.0.1\n", stderr: "" });
});
