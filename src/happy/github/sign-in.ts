// The end of a GitHub sign-in (HTTP contract 13.2): state, code, user, avatar, link. Whatever happens is told to the browser in the
// query of the page that it is sent to; the reasons stay in the log.
import { keyAt, seal } from "../../auth/key-tree.ts";
import { randomAlphanumeric } from "../../storage/ids.ts";
import { updatedAccount } from "../account-updates.ts";
import { userScoped } from "../audience.ts";
import { type Avatar, avatarUrl, type GithubProfile, githubBody } from "../profile.ts";
import type { HappyRoom } from "../room.ts";
import { accountPk } from "../store/accounts.ts";
import { connectedGithub, connectGithub, recordAvatar, storedAvatar } from "../store/github.ts";
import { exchangeCode, fetchAvatar, fetchUser } from "./github-api.ts";
import { examine } from "./picture.ts";

/** What the browser is told. */
export type SignInOutcome =
  | { readonly error: string }
  | { readonly github: "connected"; readonly user: string };

/** Never throws. */
export async function finishSignIn(room: HappyRoom, code: string, state: string): Promise<SignInOutcome> {
  try {
    const claims = await room.keys.githubState().verify(state);
    if (claims === undefined) return { error: "invalid_state" };
    const { githubClientId: clientId, githubClientSecret: clientSecret } = room.config;
    if (clientId === undefined || clientSecret === undefined) return { error: "server_config" };
    const exchange = await exchangeCode(room.config, { clientId, clientSecret }, code);
    if ("refusal" in exchange) return { error: exchange.refusal };
    const user = await fetchUser(room.config, exchange.accessToken);
    if (user === undefined) return { error: "github_user_fetch_failed" };
    await connect(room, claims.account, user, exchange.accessToken);
    return { github: "connected", user: user.login };
  } catch (error) {
    room.log.error({ err: error }, "a GitHub sign-in failed");
    return { error: "server_error" };
  }
}

async function connect(room: HappyRoom, account: string, user: GithubProfile, accessToken: string) {
  const githubId = String(user.id);
  if (connectedGithub(room.database, account)?.id === githubId) return;
  const key = keyAt(await room.keys.treeMaster(), ["user", account, "github", "token"]);
  const avatar = await avatarFrom(room, account, user.avatar_url);
  const names = splitName(user.name ?? "");
  const link = {
    githubId,
    profile: JSON.stringify(user),
    token: seal(key, accessToken),
    username: user.login,
    ...names,
    avatar,
  };
  await connectGithub(room.database, account, link, (linked) => {
    if (linked.kind === "unchanged") return;
    if (linked.displaced !== undefined) {
      announceDisconnect(room, linked.displaced.account, linked.displaced.updateSeq);
    }
    const body = updatedAccount(account, {
      github: githubBody(user),
      username: user.login,
      ...names,
      avatar: { ...avatar, url: avatarUrl(room.config, avatar.path) },
    });
    room.publisher.update(userScoped(account), linked.updateSeq, body);
  });
}

/** Tells an account's clients that its GitHub link is gone. */
export function announceDisconnect(room: HappyRoom, account: string, updateSeq: number): void {
  const body = updatedAccount(account, { github: null, username: null });
  room.publisher.update(userScoped(account), updateSeq, body);
}

/** A picture that was fetched once is used again, also for another account (data contract 2.14). */
async function avatarFrom(room: HappyRoom, account: string, url: string): Promise<Avatar> {
  const known = storedAvatar(room.database, url);
  if (known !== undefined) return known;
  accountPk(room.database.reads, account);
  const bytes = await fetchAvatar(url);
  const { extension, ...picture } = await examine(bytes);
  const path = `public/users/${account}/avatars/github_${randomAlphanumeric(24)}.${extension}`;
  await room.blobs.put(path, [bytes], bytes.byteLength);
  // Before the link, which may still fail: so no stored file is without a row.
  await recordAvatar(room.database, account, url, { path, ...picture });
  return { path, ...picture };
}

/** At the first run of whitespace; a single word is a first name. */
export function splitName(name: string): { firstName: string | null; lastName: string | null } {
  const [, firstName = null, lastName = null] = /^(\S+)(?:\s+(.+))?$/s.exec(name.trim()) ?? [];
  return { firstName, lastName };
}
