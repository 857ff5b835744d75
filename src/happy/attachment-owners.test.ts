// Whose attachments are whose is asked of what is stored now, at each look.
import { expect, test } from "bun:test";
import { parseConfig } from "../../test/support/config.ts";
import { openTestStore } from "../../test/support/happy-store.ts";
import { attachmentOwners } from "./attachment-owners.ts";

test("the session that was asked for last has no owner any more once it is deleted", async () => {
  const { store, account, session, close } = openTestStore();
  const me = await account("AA");
  const id = await session(me, "t");
  const { ownerOf } = attachmentOwners({ config: parseConfig(), store });
  expect(await ownerOf(id, undefined)).toEqual({ account: me, isLeaving: false });
  await store.deleteSession(me, id, () => {});
  expect(await ownerOf(id, undefined)).toBeUndefined();
  await close();
});
