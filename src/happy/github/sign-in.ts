// The end of a GitHub sign-in (HTTP contract 13.2): state, code, user, avatar, link. Whatever happens is told to the browser in the
// query of the page that it is sent to; the reasons stay in the log.

import { randomAlphanumeric } from "../../storage/ids.ts";
import { userScoped } from "../audience.ts";
import { keyAt, seal } from "../auth/key-tree.ts";
import type { HappyContext } from "../context.ts";
import { updatedAccount } from "../wire/account.ts";
import { type Avatar, avatarUrl, type GithubProfile, githubBody } from "../wire/profile.ts";
import { exchangeCode, fetchAvatar, fetchUser } from "./github-api.ts";
import { examine } from "./picture.ts";

/** What the browser is told. */
export type SignInOutcome =
  | { readonly error: string }
  | { readonly github: "connected"; readonly user: string };

/** Never throws. */
export async function finishSignIn(
  context: HappyContext,
  code: string,
  state: string,
): Promise<SignInOutcome> {
  try {
    const claims = await context.keys.githubState().verify(state);
    if (claims === undefined) return { error: "invalid_state" };
    const { happyGithubClientId: clientId, happyGithubClientSecret: clientSecret } = context.config;
    if (clientId === undefined || clientSecret === undefined) return { error: "server_config" };
    const exchange = await exchangeCode(context.config, { clientId, clientSecret }, code);
    if ("refusal" in exchange) return { error: exchange.refusal };
    const user = await fetchUser(context.config, exchange.accessToken);
    if (user === undefined) return { error: "github_user_fetch_failed" };
    await connect(context, claims.account, user, exchange.accessToken);
    return { github: "connected", user: user.login };
  } catch (error) {
    context.log.error({ err: error }, "a GitHub sign-in failed");
    return { error: "server_error" };
  }
}

async function connect(context: HappyContext, account: string, user: GithubProfile, accessToken: string) {
  const githubId = String(user.id);
  if ((await context.store.connectedGithub(account))?.id === githubId) return;
  const key = keyAt(await context.keys.treeMaster(), ["user", account, "github", "token"]);
  const avatar = await avatarFrom(context, account, user.avatar_url);
  const names = splitName(user.name ?? "");
  const link = {
    githubId,
    profile: JSON.stringify(user),
    token: seal(key, accessToken),
    username: user.login,
    ...names,
    avatar,
  };
  await context.store.connectGithub(account, link, (linked) => {
    if (linked.kind === "unchanged") return;
    if (linked.displaced !== undefined) {
      announceDisconnect(context, linked.displaced.account, linked.displaced.updateSeq);
    }
    const body = updatedAccount(account, {
      github: githubBody(user),
      username: user.login,
      ...names,
      avatar: { ...avatar, url: avatarUrl(context.config, avatar.path) },
    });
    context.publisher.update(userScoped(account), linked.updateSeq, body);
  });
}

/** Tells an account's clients that its GitHub link is gone. */
export function announceDisconnect(context: HappyContext, account: string, updateSeq: number): void {
  const body = updatedAccount(account, { github: null, username: null });
  context.publisher.update(userScoped(account), updateSeq, body);
}

/** A picture that was fetched once is used again, also for another account (data contract 2.14). */
async function avatarFrom(context: HappyContext, account: string, url: string): Promise<Avatar> {
  const known = await context.store.storedAvatar(url);
  if (known !== undefined) return known;
  await context.store.requireAccount(account);
  const bytes = await fetchAvatar(url);
  const { extension, ...picture } = await examine(bytes);
  const path = `public/users/${account}/avatars/github_${randomAlphanumeric(24)}.${extension}`;
  await context.blobs.put(path, [bytes], bytes.byteLength);
  // Before the link, which may still fail: so no stored file is without a row.
  await context.store.recordAvatar(account, url, { path, ...picture });
  return { path, ...picture };
}

/** At the first run of whitespace; a single word is a first name. */
export function splitName(name: string): { firstName: string | null; lastName: string | null } {
  const [, firstName = null, lastName = null] = /^(\S+)(?:\s+(.+))?$/s.exec(name.trim()) ?? [];
  return { firstName, lastName };
}
