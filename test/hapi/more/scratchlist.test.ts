// Notes of a session and their files, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const PNG = Buffer.from("not really a picture").toString("base64");
const listOf = (id: string) => `/api/sessions/${id}/scratchlist`;
const upload = async (id: string, filename = "a.png") => {
  const { body } = await desk.ask("POST", `${listOf(id)}/upload`, {
    filename,
    content: PNG,
    mimeType: "image/png",
  });
  return (body as { attachment: { id: string; path: string; filename: string } }).attachment;
};
const folder = (id: string) => join(desk.home, "scratchlist-attachments", "default", id);
const filesOf = (id: string) => (existsSync(folder(id)) ? readdirSync(folder(id)).sort() : []);

test("notes are added once, changed, listed newest first and deleted", async () => {
  const id = await desk.session();
  expect(await desk.short("GET", listOf(id))).toEqual([200, { entries: [] }]);
  const first = await desk.short("POST", listOf(id), { text: "  one " });
  const entry = {
    entryId: expect.any(String),
    text: "one",
    attachments: [],
    createdAt: expect.any(Number),
    updatedAt: expect.any(Number),
  };
  expect(first).toEqual([201, { entry }]);
  const own = { text: "two", entryId: "own", createdAt: 5 };
  expect(await desk.short("POST", listOf(id), own)).toMatchObject([
    201,
    { entry: { entryId: "own", createdAt: 5 } },
  ]);
  // Sent again because the answer was lost.
  expect(await desk.short("POST", listOf(id), { ...own, text: "again" })).toMatchObject([
    200,
    { entry: { text: "two" } },
  ]);
  expect(await desk.short("PUT", `${listOf(id)}/own`, { text: "three" })).toMatchObject([
    200,
    { entry: { text: "three", createdAt: 5 } },
  ]);
  const { entries } = (await desk.ask("GET", listOf(id))).body as { entries: { text: string }[] };
  expect(entries.map(({ text }) => text)).toEqual(["one", "three"]);
  expect(await desk.short("DELETE", `${listOf(id)}/own`)).toEqual([200, { ok: true }]);
  const gone = [404, { error: "Scratchlist entry not found" }];
  expect(await desk.short("DELETE", `${listOf(id)}/own`)).toEqual(gone as [number, unknown]);
  expect(await desk.short("PUT", `${listOf(id)}/own`, { text: "x" })).toEqual(gone as [number, unknown]);
});

test("what is wrong with a note is said", async () => {
  const id = await desk.session();
  const invalid = [400, { error: "Invalid body", issues: [expect.anything()] }] as [number, unknown];
  for (const body of [
    {},
    { text: "   " },
    { text: "x".repeat(10_001) },
    { text: "x", entryId: "" },
    { text: "x", entryId: "i".repeat(129) },
  ])
    expect(await desk.short("POST", listOf(id), body)).toEqual(invalid);
  await desk.ask("POST", listOf(id), { text: "x", entryId: "e" });
  for (const body of [{}, { text: "" }])
    expect(await desk.short("PUT", `${listOf(id)}/e`, body)).toEqual(invalid);
  expect(await desk.short("GET", listOf("nobody"))).toEqual([404, { error: "Session not found" }]);
  const other = await desk.of("other");
  expect(await other.short("GET", listOf(id))).toEqual([403, { error: "Session access denied" }]);
  for (let more = 1; more < 200; more++) await desk.ask("POST", listOf(id), { text: `${more}` });
  expect(await desk.short("POST", listOf(id), { text: "one too many" })).toEqual([
    409,
    { error: "Scratchlist is at its 200-entry cap", code: "scratchlist_at_cap" },
  ]);
});

test("a file is on disk for its owner's eyes, read through a note, and goes with the last note that names it", async () => {
  const id = await desk.session();
  const file = await upload(id, "../we ird/näme.png");
  expect(file).toMatchObject({ filename: "__we_ird_näme.png", mimeType: "image/png", size: 20 } as object);
  expect(file.path).toBe(`hapi-hub:scratchlist/default/${id}/${file.id}-__we_ird_näme.png`);
  expect(statSync(join(folder(id), `${file.id}-__we_ird_näme.png`)).mode & 0o777).toBe(0o600);
  const at = `${listOf(id)}/attachments/${file.id}`;
  expect(await desk.short("GET", at)).toEqual([404, { error: "Attachment not found" }]);
  await desk.ask("POST", listOf(id), {
    entryId: "e",
    attachments: [{ ...file, size: 99_999, filename: "another.txt" }],
  });
  expect((await desk.ask("GET", listOf(id))).body).toMatchObject({
    entries: [{ text: "", attachments: [{ id: file.id, filename: file.filename, size: 20 }] }],
  });
  const read = await desk.ask("GET", at);
  expect([read.text, read.headers.get("content-type")]).toEqual(["not really a picture", "image/png"]);
  expect(read.headers.get("x-content-type-options")).toBe("nosniff");
  expect(await desk.short("DELETE", at)).toEqual([
    409,
    { error: "Attachment is still referenced by a scratchlist entry", code: "scratchlist_attachment_in_use" },
  ]);
  await desk.ask("PUT", `${listOf(id)}/e`, { text: "x", attachments: [] });
  expect(filesOf(id)).toEqual([]);
  const given = await upload(id);
  expect(await desk.short("DELETE", `${listOf(id)}/attachments/${given.id}`)).toEqual([200, { ok: true }]);
  expect(filesOf(id)).toEqual([]);
});

test("a note names only files that its session has, and few of them", async () => {
  const [id, other] = [await desk.session(), await desk.session()];
  const file = await upload(id);
  const invalid = (error: string) =>
    [400, { error, code: "scratchlist_attachment_invalid" }] as [number, unknown];
  const add = (of: string, path: string) =>
    desk.short("POST", listOf(of), { text: "x", attachments: [{ ...file, path }] });
  expect(await add(id, "/etc/passwd")).toEqual(invalid("Invalid scratchlist attachment path"));
  expect(await add(id, file.path.replace(/-a\.png$/, "-../../x"))).toEqual(
    invalid("Invalid scratchlist attachment path"),
  );
  expect(await add(other, file.path)).toEqual(invalid("Attachment path is outside this session"));
  expect(await add(id, file.path.replace("a.png", "b.png"))).toEqual(invalid("Attachment file missing"));
  const five = await Promise.all(Array.from({ length: 5 }, () => upload(id)));
  expect(await desk.short("POST", listOf(id), { attachments: five })).toEqual([
    400,
    { error: "At most 4 attachments per scratchlist entry", code: "scratchlist_attachments_per_entry" },
  ]);
});

test("an upload of another type, too large, or no base64 is refused", async () => {
  const id = await desk.session();
  const send = (mimeType: string, content: string) =>
    desk.short("POST", `${listOf(id)}/upload`, { filename: "a", content, mimeType });
  expect(await send("application/x-msdownload", PNG)).toEqual([
    400,
    { success: false, error: "Mime type not allowed", code: "scratchlist_attachment_mime" },
  ]);
  expect(await send("image/png", "A".repeat(14_000_000))).toEqual([
    413,
    { success: false, error: "File too large", code: "scratchlist_attachment_too_large" },
  ]);
  expect(await send("image/png", "%%%%")).toEqual([400, { error: "Invalid body" }]);
  expect(await desk.short("GET", `${listOf(id)}/limits`)).toMatchObject([
    200,
    { limits: { maxBytesPerFile: 10_485_760 } },
  ]);
});

test("a deleted session leaves no files, and a namespace is no path", async () => {
  const id = await desk.session();
  await desk.ask("POST", listOf(id), { attachments: [await upload(id)] });
  expect(filesOf(id)).toHaveLength(1);
  await desk.ask("DELETE", `/api/sessions/${id}`);
  await until("its files to go", () => filesOf(id).length === 0);
  const odd = await desk.of("../up/..");
  const theirs = await odd.session();
  const { body } = await odd.ask("POST", `${listOf(theirs)}/upload`, {
    filename: "a.png",
    content: PNG,
    mimeType: "image/png",
  });
  const { path } = (body as { attachment: { path: string } }).attachment;
  expect(path.split("/")).toHaveLength(4);
  expect(
    await odd.short("POST", listOf(theirs), { attachments: [{ path, mimeType: "image/png" }] }),
  ).toMatchObject([201, {}]);
  expect(existsSync(join(desk.home, "up"))).toBe(false);
});
