// What stops a start, in the name of the topic, and what is loaded for which topics.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { documentTopic, guarded } from "./declared.ts";

test("a schema with a word that does not act stops the start at once, and names the topic", () => {
  expect(() => documentTopic({ name: "nodes", schema: { type: "object", requierd: [] } })).toThrow(
    'Topic "nodes" is not usable: its schema uses "requierd" at #',
  );
});

test("a schema that cannot be compiled does so too, when its guard is made", async () => {
  const topics = [documentTopic({ name: "nodes", schema: { $ref: "#/$defs/nowhere" } })];
  await expect(guarded(topics)).rejects.toThrow(
    'Topic "nodes" is not usable: its schema cannot be used: Reference not found: #/$defs/nowhere.',
  );
});

test("true accepts every document, false none, a schema what it says", async () => {
  const [every, none, texts] = await guarded(
    [true, false, { type: "string" }].map((schema, n) => documentTopic({ name: `t${n}`, schema })),
  );
  const verdicts = [every, none, texts].map((topic) =>
    [1, "a"].map((document) => topic?.guard(document) === undefined),
  );
  expect(verdicts).toEqual([
    [true, true],
    [false, false],
    [false, true],
  ]);
});

test("options that are not given leave the topic's own", () => {
  const { topic } = documentTopic({ name: "nodes", schema: true, autoJoin: undefined, replayLimit: 3 });
  expect([topic.autoJoin, topic.replayLimit, topic.snapshotLimit]).toEqual([false, 3, 10_000]);
});

test("the compiler of schemas is loaded only for a topic that has one", async () => {
  const script = `
    const { documentTopic, guarded } = await import("./src/topics/declared.ts");
    const isLoaded = () => Object.keys(require.cache).some((path) => path.includes("/ajv/"));
    await guarded([documentTopic({ name: "any", schema: true })]);
    const before = isLoaded();
    await guarded([documentTopic({ name: "nodes", schema: { type: "object" } })]);
    console.log(JSON.stringify([before, isLoaded()]));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: join(import.meta.dir, "../.."),
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await new Response(child.stdout).text()).toBe("[false,true]\n");
});
