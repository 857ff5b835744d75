// Holds topics at the storage maximum to: nothing is added or changed, whole operations are undone, deletes go on.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../observability/log.ts";
import { Quota } from "../../storage/quota.ts";
import { topic } from "../topic.ts";
import { openTopicsDatabase } from "./database.ts";
import { createDocument, removeDocument } from "./documents.ts";
import { EventLog, eventsAfter } from "./events.ts";

const folder = mkdtempSync(join(tmpdir(), "roost-topics-quota-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a full server takes no document, and still deletes them", async () => {
  let maximum = 0;
  const quota = new Quota(() => maximum);
  quota.databaseBytes = 1000;
  const database = openTopicsDatabase(folder, createLog("silent"), quota);
  const log = new EventLog(database, () => {}, true);
  const nodes = topic({
    name: "nodes",
    itemKey: "id",
    snapshot: () => ({ items: [], total: 0 }),
    project: (_db, id) => ({ id }),
  });
  await createDocument(log, nodes, '{"a":1}');
  maximum = 1000;
  await expect(createDocument(log, nodes, '{"a":2}')).rejects.toMatchObject({ code: "quota" });
  expect(database.reads.values("SELECT count(*) FROM topic_documents")).toEqual([[1]]);
  await log.change(nodes, (db, publish) => {
    expect(removeDocument(db, "nodes", 1)).toBe(true);
    publish("delete", { id: 1 });
  });
  expect(eventsAfter(database.reads, "nodes", 0, 10).map(({ type }) => type)).toEqual(["add", "delete"]);
  await database.close();
});
