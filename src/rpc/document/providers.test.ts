// Where a document comes from: a file on bad days, the map in roost.yaml, and a server that behaves as Nacos does, also badly.
import { afterEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nacosServer } from "../../../test/support/nacos.ts";
import { until } from "../../../test/support/until.ts";
import { FileProvider } from "./file-provider.ts";
import { NacosProvider, type NacosSettings } from "./nacos-provider.ts";
import type { Provider, ProviderHooks } from "./provider.ts";
import { SettingProvider } from "./setting-provider.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

interface Heard {
  readonly given: unknown[];
  readonly problems: string[];
  recoveries: number;
}

function heard(provider: Provider): Heard {
  const all: Heard = { given: [], problems: [], recoveries: 0 };
  const hooks: ProviderHooks = {
    changed: (given) => all.given.push(given),
    failed: ({ message }) => all.problems.push(message),
    recovered: () => {
      all.recoveries++;
    },
  };
  provider.watch(hooks);
  cleanup.push(() => provider.close());
  return all;
}

describe("a file", () => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), "roost-document-"));
    cleanup.push(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const fileAt = (path: string, isOptional = true) => new FileProvider({ path, isOptional, lookEveryMs: 20 });

  test("is YAML or JSON; one that is named has to be there", async () => {
    const path = join(folder(), "rpc.yaml");
    expect(await fileAt(path).load()).toBeUndefined();
    expect(fileAt(path, false).load()).rejects.toThrow("it is not there");
    writeFileSync(path, "qos: { max_timeout_ms: 5 } # as YAML\n");
    expect(await fileAt(path).load()).toEqual({ qos: { max_timeout_ms: 5 } });
    writeFileSync(path, '{"qos": {"max_timeout_ms": 6}}');
    expect(await fileAt(path).load()).toEqual({ qos: { max_timeout_ms: 6 } });
  });

  test("that cannot be read is told without its text", async () => {
    const path = join(folder(), "rpc.yaml");
    writeFileSync(path, "a: 1\nsecret: 'hush\nb: [");
    expect(fileAt(path).load()).rejects.toThrow(/^line \d: it is neither YAML nor JSON/);
    writeFileSync(path, "x".repeat(1024 * 1024 + 1));
    expect(fileAt(path).load()).rejects.toThrow("it has more than 1048576 bytes");
    writeFileSync(path, new Uint8Array([0xff, 0xfe, 0x00]));
    expect(fileAt(path).load()).rejects.toThrow();
    // 100 aliases of 100 aliases of 100 aliases.
    const bomb = [
      "a: &a x",
      ...["b", "c", "d", "e"].map((name, at) => `${name}: &${name} [${`*${"abcd"[at]},`.repeat(99)}]`),
    ];
    writeFileSync(path, bomb.join("\n"));
    expect(fileAt(path).load()).rejects.toThrow();
  });

  test("is followed: changed, renamed into place, gone and back, broken and mended", async () => {
    const path = join(folder(), "rpc.yaml");
    const provider = fileAt(path);
    expect(await provider.load()).toBeUndefined();
    const { given, problems, ...rest } = heard(provider);
    writeFileSync(path, "a: 1");
    await until("the file that appeared", () => given.length === 1);
    writeFileSync(`${path}.new`, "a: 2");
    renameSync(`${path}.new`, path);
    await until("the file that was renamed into place", () => given.length === 2);
    rmSync(path);
    await until("the file to be missed", () => problems.length === 1);
    writeFileSync(path, "a: 2");
    await until("the file that came back", () => given.length === 3);
    writeFileSync(path, "");
    await until("the empty file", () => problems.length === 2);
    writeFileSync(path, "a: [");
    await until("the broken file", () => problems.length === 3);
    rmSync(path);
    mkdirSync(path);
    await until("the folder in its place", () => problems.length === 4);
    rmSync(path, { recursive: true });
    writeFileSync(path, "a: 3");
    await until("the mended file", () => given.length === 4);
    expect(given).toEqual([{ a: 1 }, { a: 2 }, { a: 2 }, { a: 3 }]);
    expect(problems[0]).toBe("it is gone; what it said last stays");
    expect(problems[1]).toStartWith("it is empty");
    expect(rest.recoveries).toBe(0);
  });
});

test("the map in roost.yaml is followed; when it is gone what it said stays", async () => {
  let value: unknown = { a: 1 };
  const provider = new SettingProvider(() => value, 5);
  expect(await provider.load()).toEqual({ a: 1 });
  const { given, problems } = heard(provider);
  value = { a: 2 };
  await until("the change", () => given.length === 1);
  value = undefined;
  await until("the loss", () => problems.length === 1);
  value = { a: 3 };
  await until("the return", () => given.length === 2);
  expect(given).toEqual([{ a: 2 }, { a: 3 }]);
});

describe("nacos", () => {
  const FAST = { pollMs: 2_000, firstBackoffMs: 20, lastBackoffMs: 100, answerMs: 500, graceMs: 200 };
  const server = (more: Parameters<typeof nacosServer>[0] = {}) => {
    const nacos = nacosServer(more);
    cleanup.push(() => nacos.stop());
    return nacos;
  };
  const settings = (addresses: string | string[], more: Partial<NacosSettings> = {}): NacosSettings => ({
    server_addresses: addresses,
    data_id: "rpc",
    group: "DEFAULT_GROUP",
    ...more,
  });

  test("is read, and tells of each change", async () => {
    const nacos = server();
    nacos.set("qos: { max_timeout_ms: 1 }");
    const provider = new NacosProvider(settings(nacos.address), FAST);
    expect(await provider.load()).toEqual({ qos: { max_timeout_ms: 1 } });
    const { given, problems } = heard(provider);
    await until("the request that waits", () => nacos.waiting === 1);
    expect(nacos.listened.at(-1)).toBe(
      `rpc\u0002DEFAULT_GROUP\u0002${md5("qos: { max_timeout_ms: 1 }")}\u0001`,
    );
    nacos.set("a: 2");
    await until("the change", () => given.length === 1);
    nacos.set("a: [");
    await until("the broken document", () => problems.length === 1);
    nacos.set("a: é");
    await until("the mended one", () => given.length === 2);
    expect(given).toEqual([{ a: 2 }, { a: "é" }]);
    nacos.set(undefined);
    await until("the loss", () => problems.length === 2);
    expect(problems[1]).toContain("gone");
  });

  test("says nothing where nothing is stored", async () => {
    const nacos = server();
    const provider = new NacosProvider(settings(nacos.address), FAST);
    expect(await provider.load()).toBeUndefined();
    const { given } = heard(provider);
    nacos.set("{}");
    await until("the first document", () => given.length === 1);
  });

  test("asks in its namespace, as its user, and again when the token ended", async () => {
    const nacos = server({ user: { name: "u", password: "p&=%" }, namespace: "ns" });
    nacos.set("a: 1");
    const one = settings(nacos.address, { username: "u", password: "p&=%", namespace: "ns" });
    const provider = new NacosProvider(one, FAST);
    expect(await provider.load()).toEqual({ a: 1 });
    const { given } = heard(provider);
    await until("the request that waits", () => nacos.waiting === 1);
    expect(nacos.listened.at(-1)).toEndWith("\u0002ns\u0001");
    nacos.endTokens();
    nacos.set("a: 2");
    await until("the change", () => given.length === 1);
    expect(nacos.logins).toBe(2);
    const wrong = new NacosProvider({ ...one, password: "other-secret" }, FAST);
    const message = await wrong.load().then(String, String);
    expect(message).toContain("it does not take the user (403)");
    expect(message).not.toContain("other-secret");
  });

  test("the next server is asked when one does not answer", async () => {
    const nacos = server();
    nacos.set("a: 1");
    const dead = server();
    await dead.stop();
    const provider = new NacosProvider(settings(`${dead.address},${nacos.address}`), FAST);
    expect(await provider.load()).toEqual({ a: 1 });
    const { given, problems } = heard(provider);
    nacos.set("a: 2");
    await until("the change", () => given.length === 1);
    expect(problems).toEqual([]);
    const nobody = new NacosProvider(settings([dead.address]), FAST);
    expect(nobody.load()).rejects.toThrow(/^it does not answer/);
  });

  test("errors are told once, the last document stays, and the way back is found", async () => {
    const nacos = server();
    nacos.set("a: 1");
    const provider = new NacosProvider(settings(nacos.address), FAST);
    await provider.load();
    const all = heard(provider);
    await until("the request that waits", () => nacos.waiting === 1);
    for (const bad of ["500", "silent", "endless"] as const) {
      const before = { problems: all.problems.length, asked: nacos.asked, recoveries: all.recoveries };
      nacos.behave(bad);
      await until(`${bad} to be told`, () => all.problems.length === before.problems + 1);
      await until(`${bad} to be tried again`, () => nacos.asked >= before.asked + 3);
      expect(all.problems.length).toBe(before.problems + 1);
      nacos.behave("well");
      await until(`the way back from ${bad}`, () => all.recoveries === before.recoveries + 1);
    }
    expect(all.given).toEqual([]);
    nacos.set("a: 2");
    await until("the change", () => all.given.length === 1);
  });

  test("a server that answers at once, again and again, is not asked again and again", async () => {
    const nacos = server();
    nacos.set("a: 1");
    const provider = new NacosProvider(settings(nacos.address), { ...FAST, firstBackoffMs: 200 });
    await provider.load();
    const { given } = heard(provider);
    nacos.behave("hasty");
    const began = performance.now();
    const before = nacos.asked;
    await until("some requests", () => nacos.asked >= before + 8);
    // Each round is a notice and a read.
    expect(performance.now() - began).toBeGreaterThan(500);
    expect(given).toEqual([]);
  });
});

const md5 = (text: string) => createHash("md5").update(text).digest("hex");
