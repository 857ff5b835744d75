// Deleting an account takes all that is its own, nothing that is another's, and never comes undone by a token.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestStore, type TestStore } from "../../../test/support/happy-store.ts";

let all: TestStore;
beforeEach(() => {
  all = openTestStore();
});
afterEach(() => all.close());

const avatarOf = (account: string) => ({
  path: `public/users/${account}/avatars/github_x.png`,
  width: 1,
  height: 1,
  thumbhash: "t",
});
const linkOf = (id: string, avatar: ReturnType<typeof avatarOf>) => ({
  githubId: id,
  profile: JSON.stringify({ id: 1, login: id, avatar_url: "u" }),
  token: new Uint8Array([1]),
  username: id,
  firstName: null,
  lastName: null,
  avatar,
});

test("sessions, messages and files of the account go, those of others stay; it is announced once and known as removed", async () => {
  const { store } = all;
  const [mine, other] = [await all.account("AA"), await all.account("BB")];
  const [gone, kept] = [await all.session(mine, "t"), await all.session(other, "t")];
  for (const [account, id] of [
    [mine, gone],
    [other, kept],
  ] as const)
    await store.appendMessages(account, id, [{ content: "c", localId: "l" }], () => {});
  let announced = 0;
  const deleted = await store.deleteAccount(mine, () => announced++);
  expect(deleted).toEqual({ blobFolders: [`sessions/${gone}`, `public/users/${mine}`] });
  expect(await store.countRecords()).toEqual({ accounts: 1, sessions: 1, messages: 1, machines: 0 });
  expect((await store.loadRefusals()).removed).toEqual([mine]);
  expect(await store.deleteAccount(mine, () => announced++)).toBeUndefined();
  expect(announced).toBe(1);
});

test("an avatar that another account shows goes to that account, and its folder stays", async () => {
  const { store } = all;
  const [mine, other] = [await all.account("AA"), await all.account("BB")];
  const avatar = avatarOf(mine);
  await store.recordAvatar(mine, "https://a/picture", avatar);
  await store.connectGithub(mine, linkOf("me", avatar), () => {});
  await store.connectGithub(other, linkOf("other", avatar), () => {});
  expect(await store.deleteAccount(mine, () => {})).toEqual({ blobFolders: [] });
  expect(await store.storedAvatar("https://a/picture")).toEqual(avatar);
  expect(all.sql("SELECT a.id FROM uploaded_files f JOIN accounts a ON a.pk = f.account_pk")).toEqual([
    { id: other },
  ]);
  // With its last one the picture goes too.
  expect(await store.deleteAccount(other, () => {})).toEqual({ blobFolders: [`public/users/${other}`] });
  expect(await store.storedAvatar("https://a/picture")).toBeUndefined();
});
