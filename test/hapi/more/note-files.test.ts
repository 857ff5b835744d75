// Files of notes have bounds: of a namespace and of the whole server; what is deleted makes room at once, also by a command that works on
// the folder alone, and no link leads out of their folder.
import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GoneFiles } from "../../../src/hapi/hub/gone-files.ts";
import { ScratchFiles, type ScratchPlace, scratchPlace } from "../../../src/hapi/hub/scratch-files.ts";
import { hapi } from "../../../src/hapi/protocol.ts";
import type { HapiConfig } from "../../../src/hapi/settings.ts";
import { createLog } from "../../../src/observability/log.ts";
import { openOffline } from "../../../src/protocol/offline.ts";
import { HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";

let desk: HapiDesk | undefined;
afterEach(async () => {
  await desk?.close();
  desk = undefined;
});

const listOf = (id: string) => `/api/sessions/${id}/scratchlist`;
const send = (at: HapiDesk, id: string, bytes: number) =>
  at.ask("POST", `${listOf(id)}/upload`, {
    filename: "a.txt",
    content: Buffer.alloc(bytes, "n").toString("base64"),
    mimeType: "text/plain",
  });
const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).sort();
const attachmentOf = (answer: { body: unknown }) =>
  (answer.body as { attachment: { id: string; path: string } }).attachment;
const filesBelow = (home: string): string[] => {
  const folder = join(home, "scratchlist-attachments");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
};

/** Of a process that has swept before, and for which a week has passed since then. */
function long(home: string): ScratchFiles {
  const week = 7 * 86_400_000;
  let passed = -week;
  const files = new ScratchFiles({ home, clocks: { now: () => Date.now() + passed, steady: () => passed } });
  void files.sweep(async () => new Set());
  passed = 0;
  return files;
}

test("a namespace has so much and no more, however many of its sessions upload at once; another one has its own", async () => {
  desk = await HapiDesk.open({ hapiMaxNoteFileBytes: 10_000 });
  const sessions = await Promise.all(Array.from({ length: 6 }, () => desk?.session() ?? ""));
  const answers = await Promise.all(sessions.map((id) => send(desk as HapiDesk, id, 3_000)));
  expect(statuses(answers)).toEqual([200, 200, 200, 507, 507, 507]);
  const refused = answers.find(({ status }) => status === 507);
  expect(refused?.body).toEqual({
    success: false,
    error: "The files of all notes of this namespace are at their limit",
  });
  expect(filesBelow(desk.home)).toHaveLength(3);
  const other = await desk.of("other");
  expect((await send(other, await other.session(), 9_000)).status).toBe(200);
  // What goes makes room: an upload that came into no note, a note, a session.
  const stored = sessions.filter((_, at) => answers[at]?.status === 200);
  const [first = "", second = "", third = ""] = stored;
  const fileOf = (id: string) => attachmentOf(answers[sessions.indexOf(id)] ?? { body: undefined });
  await desk.ask("DELETE", `${listOf(first)}/attachments/${fileOf(first).id}`);
  expect((await send(desk, first, 3_000)).status).toBe(200);
  expect((await send(desk, first, 3_000)).status).toBe(507);
  await desk.ask("POST", listOf(second), {
    entryId: "e",
    attachments: [{ path: fileOf(second).path, mimeType: "text/plain" }],
  });
  await desk.ask("DELETE", `${listOf(second)}/e`);
  expect((await send(desk, second, 3_000)).status).toBe(200);
  await desk.ask("DELETE", `/api/sessions/${third}`);
  await until("its file to go", async () => (await send(desk as HapiDesk, first, 3_000)).status === 200);
  // What is on the disk counts after a restart too.
  await desk.server.restart();
  expect((await send(desk, first, 3_000)).status).toBe(507);
});

test("they count as what the namespace keeps, and as what the server keeps", async () => {
  desk = await HapiDesk.open({ maxAccountBytes: 40_000 });
  const id = await desk.session();
  const file = attachmentOf(await send(desk, id, 15_000));
  await desk.ask("POST", listOf(id), { attachments: [{ path: file.path, mimeType: "text/plain" }] });
  const second = attachmentOf(await send(desk, id, 15_000));
  await desk.ask("POST", listOf(id), { attachments: [{ path: second.path, mimeType: "text/plain" }] });
  const full = await send(desk, id, 15_000);
  expect([full.status, filesBelow(desk.home).length]).toEqual([507, 2]);
  expect(full.text).toContain("keeps as much on this server as it may");
  await desk.close();

  desk = await HapiDesk.open({ maxStorageBytes: 2_600_000 });
  const session = await desk.session();
  const answers = [];
  for (let n = 0; n < 3; n++) answers.push(await send(desk, session, 700_000));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 507]);
  expect(answers[2]?.text).toContain("almost full: files cannot be uploaded");
});

test("a command that deletes sessions on the folder alone takes their files along, and those of others stay", async () => {
  desk = await HapiDesk.open();
  const [gone, kept] = [await desk.session(), await desk.session()];
  for (const id of [gone, kept]) {
    const file = attachmentOf(await send(desk, id, 100));
    await desk.ask("POST", listOf(id), { attachments: [{ path: file.path, mimeType: "text/plain" }] });
  }
  const { home, server } = desk;
  await desk.ask("PUT", `/api/sessions/${kept}/pin`, { mode: "global" });
  await server.restart(async () => {
    const config = { ...server.config, hapiRetentionSessionsDays: 1 } as unknown as HapiConfig;
    await using offline = await openOffline(hapi, config, createLog("silent"));
    // A day after tomorrow.
    const now = Date.now() + 2 * 86_400_000;
    const removed = await offline?.retention?.run({ now, goOn: () => true, isShared: false });
    expect(removed).toMatchObject({ "HAPI sessions": 1 });
  });
  expect(readdirSync(join(home, "scratchlist-attachments", "default"))).toEqual([kept]);
  expect(filesBelow(home)).toHaveLength(1);
});

test("no link leads out of their folder: nothing is stored, removed or read through one", async () => {
  desk = await HapiDesk.open();
  const id = await desk.session();
  const file = attachmentOf(await send(desk, id, 100));
  await desk.ask("POST", listOf(id), { attachments: [{ path: file.path, mimeType: "text/plain" }] });
  const folder = join(desk.home, "scratchlist-attachments");
  const own = join(folder, "default", id);
  const outside = join(desk.server.dataDir, "outside");
  mkdirSync(join(outside, "x"), { recursive: true });
  const old = join(outside, "x", "old");
  writeFileSync(old, "of somebody else");
  utimesSync(old, 1, 1);
  symlinkSync(outside, join(folder, "linked"));
  symlinkSync(outside, join(folder, "default", "linked"));
  symlinkSync(old, join(own, "linked"));
  await long(desk.home).sweep(async () => new Set());
  expect(readFileSync(old, "utf8")).toBe("of somebody else");
  // The named file itself is replaced by a link.
  const [name = ""] = readdirSync(own).filter((one) => one.startsWith(file.id));
  rmSync(join(own, name));
  symlinkSync(old, join(own, name));
  expect((await desk.ask("GET", `${listOf(id)}/attachments/${file.id}`)).status).toBe(404);
  renameSync(folder, join(desk.server.dataDir, "moved"));
  symlinkSync(join(desk.server.dataDir, "moved"), folder);
  const refused = await send(desk, id, 100);
  expect([refused.status, refused.text]).toEqual([
    503,
    '{"error":"Files of notes cannot be stored: their folder is a link."}',
  ]);
  expect(readdirSync(join(desk.server.dataDir, "moved", "default", id)).sort()).toEqual(
    [name, "linked"].sort(),
  );
});

test("an upload that is refused takes nothing of what the server may hold", async () => {
  desk = await HapiDesk.open({ hapiMaxNoteFileBytes: 10_000, maxStorageBytes: 30_000_000 });
  const noisy = await desk.of("noisy");
  const id = await noisy.session();
  for (let n = 0; n < 8; n++) expect((await send(noisy, id, 5_000_000)).status).toBe(507);
  expect((await send(desk, await desk.session(), 1_000)).status).toBe(200);
  // Nor one for which there is no folder.
  const long = await desk.of("ü".repeat(60));
  const other = await long.session();
  for (let n = 0; n < 8; n++) expect((await send(long, other, 5_000)).status).toBe(507);
  expect((await send(desk, await desk.session(), 1_000)).status).toBe(200);
});

test("a name that is longer than any file's names none", async () => {
  desk = await HapiDesk.open();
  const id = await desk.session();
  const { path } = attachmentOf(await send(desk, id, 100));
  const named = [{ path: `${path}${"x".repeat(300)}`, mimeType: "text/plain" }];
  const { status, body } = await desk.ask("POST", listOf(id), { attachments: named });
  expect([status, body]).toEqual([
    400,
    { error: "Attachment file missing", code: "scratchlist_attachment_invalid" },
  ]);
  // Also of a namespace, when there are files of others.
  const long = await desk.of("ü".repeat(60));
  expect((await send(long, await long.session(), 100)).status).toBe(507);
});

test("a session's folder that has become a link leads nowhere: nothing is read, described or removed behind it", async () => {
  desk = await HapiDesk.open();
  const id = await desk.session();
  const file = attachmentOf(await send(desk, id, 100));
  await desk.ask("POST", listOf(id), {
    entryId: "e",
    attachments: [{ path: file.path, mimeType: "text/plain" }],
  });
  const own = join(desk.home, "scratchlist-attachments", "default", id);
  const outside = join(desk.server.dataDir, "outside");
  renameSync(own, outside);
  symlinkSync(outside, own);
  expect((await desk.ask("GET", `${listOf(id)}/attachments/${file.id}`)).status).toBe(404);
  await desk.ask("DELETE", `${listOf(id)}/e`);
  expect(readdirSync(outside)).toHaveLength(1);
});

test("a file that a note has come to name stays, also when a look through all had begun before", async () => {
  desk = await HapiDesk.open();
  const id = await desk.session();
  const file = attachmentOf(await send(desk, id, 100));
  const own = join(desk.home, "scratchlist-attachments", "default", id);
  const [name = ""] = readdirSync(own);
  utimesSync(join(own, name), 1, 1);
  const at = desk;
  await long(desk.home).sweep(async () => {
    const { status } = await at.ask("POST", listOf(id), {
      attachments: [{ path: file.path, mimeType: "text/plain" }],
    });
    expect(status).toBe(201);
    // As they were before.
    return new Set();
  });
  expect(readdirSync(own)).toEqual([name]);
});

test("a file that a clock dated ahead is abandoned a day after it was found so", async () => {
  desk = await HapiDesk.open();
  const id = await desk.session();
  await send(desk, id, 100);
  const own = join(desk.home, "scratchlist-attachments", "default", id);
  const [name = ""] = readdirSync(own);
  const now = Date.now();
  utimesSync(join(own, name), now / 1_000 + 1e9, now / 1_000 + 1e9);
  let passed = 0;
  const clocks = { now: () => now + passed, steady: () => passed };
  const files = new ScratchFiles({ home: desk.home, clocks });
  const sweep = (after: number) => {
    passed = after;
    return files.sweep(async () => new Set());
  };
  expect([await sweep(0), await sweep(3_600_000), await sweep(25 * 3_600_000)]).toEqual([0, 0, 1]);
});

test("a session whose files cannot be looked for keeps back no other one's", async () => {
  desk = await HapiDesk.open();
  const [first, second] = [await desk.session(), await desk.session()];
  for (const id of [first, second]) await send(desk, id, 100);
  let asked = 0;
  const gone = new GoneFiles(desk.home, {
    listScratchAttachments: async () => {
      if (asked++ === 0) throw new Error("a bad moment");
      return [];
    },
  });
  for (const id of [first, second]) gone.gone({ namespace: "default", id });
  expect(gone.settled()).rejects.toThrow("a bad moment");
  await gone.settled().catch(() => {});
  expect(readdirSync(join(desk.home, "scratchlist-attachments", "default"))).toEqual([first]);
});

test("a namespace whose name is longer than a folder's may be has notes and no files", async () => {
  desk = await HapiDesk.open();
  const long = await desk.of("ü".repeat(60));
  const id = await long.session();
  const refused = await send(long, id, 100);
  expect([refused.status, refused.text]).toEqual([
    507,
    '{"error":"Files of notes cannot be stored: the name of the namespace is too long."}',
  ]);
  expect((await long.ask("POST", listOf(id), { text: "a note" })).status).toBe(201);
});

test("uploads into folders that are swept away as empty ones all the while are stored", async () => {
  desk = await HapiDesk.open();
  const { home } = desk;
  const sweeping = new ScratchFiles({ home });
  let isOver = false;
  const sweep = (async () => {
    while (!isOver) await sweeping.sweep(async () => new Set());
  })();
  const files = new ScratchFiles({ home });
  const bytes = Buffer.from("a");
  let removed = 0;
  for (let n = 0; n < 200; n++) {
    const key = { namespace: "default", id: `s${n % 3}` };
    const file = await files.add(key, { filename: "a.txt", mimeType: "text/plain", bytes });
    const place = await files.find(key, file?.id ?? "");
    if (place === undefined) break;
    await files.remove(place);
    removed++;
  }
  isOver = true;
  await sweep;
  expect(removed).toBe(200);
});

const DAY = 86_400_000;
const MINUTE = 60_000;

/** A machine whose clock is set while time goes by. */
function machine(from: number) {
  let [wall, steady] = [from, 0];
  const clocks = { now: () => wall, steady: () => steady };
  const pass = (ms: number) => {
    wall += ms;
    steady += ms;
  };
  const step = (ms: number) => {
    wall += ms;
  };
  const restart = () => {
    steady = 0;
  };
  return { clocks, pass, step, restart };
}

test.each<[string, [number, number], boolean]>([
  ["a day ahead after it came", [0, DAY + MINUTE], false],
  ["a day behind before it came, and right after", [-DAY - MINUTE, DAY + MINUTE], false],
  ["half a century ahead after it came", [0, 50 * 365 * DAY], false],
  ["a day ahead before it came, and right after", [DAY, -DAY], false],
  ["a day ahead while no server ran", [0, DAY + MINUTE], true],
])(
  "a clock that was set %s removes nothing that came a minute ago, and a day later it goes",
  async (_, [before, after], again) => {
    desk = await HapiDesk.open();
    const { home } = desk;
    const { clocks, pass, step, restart } = machine(Date.now());
    let files = new ScratchFiles({ home, clocks });
    const none = async () => new Set<string>();
    expect(await files.sweep(none)).toBe(0);
    pass(7 * 60 * MINUTE);
    step(before);
    const key = { namespace: "default", id: "s" };
    const bytes = Buffer.from("a");
    const file = await files.add(key, { filename: "a.txt", mimeType: "text/plain", bytes });
    pass(MINUTE);
    step(after);
    if (again) {
      restart();
      files = new ScratchFiles({ home, clocks });
    }
    expect(await files.sweep(none)).toBe(0);
    pass(4 * 60 * MINUTE);
    expect(await files.sweep(none)).toBe(0);
    expect(await files.find(key, file?.id ?? "")).toBeDefined();
    pass(2 * DAY);
    expect(await files.sweep(none)).toBe(1);
  },
);

test("a server that never runs for five hours removes what was given up too, and time without a server does not count", async () => {
  desk = await HapiDesk.open();
  const { home } = desk;
  const { clocks, pass, step, restart } = machine(Date.now());
  const none = async () => new Set<string>();
  const key = { namespace: "default", id: "s" };
  const add = (files: ScratchFiles) =>
    files.add(key, { filename: "a.txt", mimeType: "text/plain", bytes: Buffer.from("a") });
  let files = new ScratchFiles({ home, clocks });
  const [given, named] = [await add(files), await add(files)];
  // A day and more without a server, or a clock that somebody has set: nobody can tell.
  step(2 * DAY);
  /** Half an hour, a stop in order or a kill, and a start. @returns what its first look removed */
  const run = async (isKilled = false) => {
    restart();
    files = new ScratchFiles({ home, clocks });
    const removed = await files.sweep(none);
    pass(30 * MINUTE);
    if (!isKilled) files.keepAge();
    return removed;
  };
  for (let hours = 0; hours < 5; hours += 0.5) {
    expect(await run()).toBe(0);
    // Its person came back for one of them.
    if (hours === 2) expect(await files.keep(scratchPlace(named?.path ?? "") as ScratchPlace)).toBe(1);
    step(7 * 60 * MINUTE);
  }
  expect(await files.find(key, given?.id ?? "")).toBeDefined();
  expect(await run()).toBe(1);
  expect(await files.find(key, given?.id ?? "")).toBeUndefined();
  expect(await files.find(key, named?.id ?? "")).toBeDefined();
  // Runs that are killed before they have said how long they ran do not count; a damaged note of it is none.
  for (let runs = 0; runs < 20; runs++) expect(await run(true)).toBe(0);
  writeFileSync(join(home, "roost-abandoned.json"), "{cut");
  expect(await run()).toBe(0);
  await files.sweep(none, key);
  files = new ScratchFiles({ home, clocks });
  await files.sweep(none);
  expect(existsSync(join(home, "roost-abandoned.json"))).toBe(false);
});
