// The guide docs/rpc.md does what it says: every command in it is run, in its order, against one real server, and its answer compared.
// What differs from run to run (ids, traces, times) is compared by its kind; of an object the guide may show less than there is.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "./support/free-port.ts";
import { needs, onUnix } from "./support/needs.ts";
import { roostCommand, run, type Started, start } from "./support/process.ts";
import { until } from "./support/until.ts";

setDefaultTimeout(120_000);

const GUIDE = resolve(import.meta.dir, "../docs/rpc.md");
const URL_OF_THE_GUIDE = "http://127.0.0.1:3005";
/** More lines than are shown. */
const MORE = "…";

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

/** Fenced blocks, in their order. */
function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  for (const { 1: language = "", 2: text = "", index } of page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm))
    blocks.push({ language, text, line: page.slice(0, index).split("\n").length });
  return blocks;
}

type Value = { readonly json: unknown } | { readonly text: string };

/** What a command printed, or should: JSON, also over several lines and behind `data:`, and every other line as it is. */
function valuesOf(printed: string): Value[] {
  const values: Value[] = [];
  let open = "";
  for (const line of printed.split("\n")) {
    const rest = open === "" && line.startsWith("data: ") ? line.slice("data: ".length) : line;
    if (open === "" && rest.trim() === "") continue;
    if (open === "" && !/^[{[]/.test(rest)) {
      values.push({ text: normal(rest.trim()) });
      continue;
    }
    open += `${rest}\n`;
    try {
      values.push({ json: kinds(JSON.parse(open)) });
      open = "";
    } catch {
      // It goes on in the next line.
    }
  }
  if (open !== "") throw new Error(`no JSON: ${open}`);
  return values;
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, "<uuid>"],
  [/\b[0-9a-f]{32}\b/g, "<trace>"],
  [/\b[0-9a-f]{16}\b/g, "<span>"],
];
const normal = (text: string): string => KINDS.reduce((all, [kind, name]) => all.replace(kind, name), text);
const OF_THE_RUN = new Set(["server_id", "version", "server_version"]);

/** With the kind in place of what only one run has. */
function kinds(value: unknown, key = ""): unknown {
  if (typeof value === "string") return OF_THE_RUN.has(key) ? `<${key}>` : normal(value);
  if (typeof value === "number") return /_ms$/.test(key) ? `<${key}>` : value;
  if (Array.isArray(value)) return value.map((item) => kinds(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, kinds(item, name)]));
}

/** Whether what was printed is what the guide shows. @throws Error that says what differs */
function compare(shown: readonly Value[], printed: readonly Value[]): void {
  const more = shown.findIndex((value) => "text" in value && value.text === MORE);
  const wanted = more < 0 ? shown : shown.slice(more + 1);
  const from = more < 0 ? 0 : printed.length - wanted.length;
  expect(printed.slice(from)).toHaveLength(wanted.length);
  expect(printed.slice(from)).toMatchObject(wanted as Value[]);
}

const parts = needs.all(needs.program("curl"), needs.program("openssl"), onUnix);
const blocks = blocksOf(readFileSync(GUIDE, "utf8"));
let folder: string;
let url: string;
let server: Started;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-guide-"));
  const [first] = blocks;
  const words = first?.text.trim().split(/\s+/) ?? [];
  expect([first?.language, words[0]]).toEqual(["sh", "roost"]);
  if (!parts.met) return;
  const port = freePort();
  url = `http://127.0.0.1:${port}`;
  server = start([...roostCommand(), ...words.slice(1), "--port", `${port}`, "--log-format", "json"], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "" },
  });
  await server.printed(/Roost is running/);
});
afterAll(async () => {
  await server?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** In a shell that knows what earlier ones have called by a name. */
async function shell(text: string): Promise<string> {
  const names = [...new Set([...readFileSync(GUIDE, "utf8").matchAll(/^(\w+)=/gm)].map(([, name]) => name))];
  const kept = join(folder, ".names");
  const script = `touch ${kept}; . ${kept}\n${text.replaceAll(URL_OF_THE_GUIDE, url)}\ndeclare -p ${names.join(" ")} > ${kept} 2>/dev/null; true`;
  const { stdout, stderr } = await run(["bash", "-c", script], { cwd: folder });
  expect(stderr).toBe("");
  return stdout;
}

const logged = (): string => server.output.stdout + server.output.stderr;

/** The document, as soon as the server has looked at it. `said`: what the log must say of it. */
async function written(text: string, said: string | undefined): Promise<void> {
  const before = logged().length;
  writeFileSync(join(folder, "data/rpc.yaml"), text, { mode: 0o600 });
  await until("the server to look at the document", () =>
    logged()
      .slice(before)
      .includes(said ?? "a changed document is in effect"),
  );
}

for (const [at, block] of blocks.entries()) {
  if (at === 0 || (block.language !== "sh" && block.language !== "yaml")) continue;
  const following = blocks.slice(at + 1);
  const end = following.findIndex(({ language }) => language === "sh" || language === "yaml");
  const answers = (end < 0 ? following : following.slice(0, end)).map(({ text }) => text);
  parts.test(`line ${block.line} of the guide: ${block.text.split("\n", 1)[0]}`, async () => {
    if (block.language === "yaml") {
      expect(block.text).toStartWith("# data/rpc.yaml\n");
      expect(answers.length).toBeLessThanOrEqual(1);
      return written(block.text, answers[0]?.trim());
    }
    expect(answers.length).toBeGreaterThan(0);
    const shown = answers.flatMap(valuesOf);
    // What only reads files may come too early, and is tried again.
    const isRead = /^(grep|tail) /.test(block.text);
    const once = async () => compare(shown, valuesOf(await shell(block.text)));
    if (!isRead) return once();
    await until("what the guide shows", async () => {
      await once();
      return true;
    });
  });
}
