// POST /api/auth and /api/bind (HTTP contract, A4): an access token or Telegram's word for a login of four hours.
import { type Context, Hono } from "hono";
import { z } from "zod";
import { checkInitData, type TelegramUser } from "../auth/telegram.ts";
import { accountOf, type WebTokens } from "../auth/web-tokens.ts";
import type { HapiStore } from "../store/contract.ts";
import { bodyOf } from "./kit/body.ts";
import type { OpenEnv } from "./kit/env.ts";
import { notFound, Refused } from "./kit/failure.ts";
import { type GuardParts, proven } from "./kit/guards.ts";

export interface LoginParts extends Pick<GuardParts, "access" | "wrongTokens"> {
  readonly webTokens: WebTokens;
  readonly store: Pick<HapiStore, "bindUser" | "findBinding">;
  readonly ownerId: number;
  /** Undefined: no bot is configured. */
  readonly telegramBotToken: string | undefined;
  /** Wall clock. */
  readonly now?: () => number;
}

const PLATFORM = "telegram";
const NO_BOT = "Telegram authentication is disabled. Configure TELEGRAM_BOT_TOKEN.";

/** Where both are given the init data counts. */
const authBody = z.union([z.object({ initData: z.string() }), z.object({ accessToken: z.string() })]);
const bindBody = z.object({ initData: z.string(), accessToken: z.string() });

export function loginRoutes(parts: LoginParts) {
  const { access, wrongTokens, webTokens, store, ownerId, telegramBotToken, now = Date.now } = parts;

  const namespaceOf = (token: string, c: Context<OpenEnv>): string => {
    const ns = proven(token, c.env.caller.address, { access, wrongTokens });
    if (ns === undefined) throw new Refused(401, "Invalid access token");
    return ns;
  };

  const telegramUser = (initData: string): TelegramUser => {
    if (telegramBotToken === undefined) throw new Refused(503, NO_BOT);
    const checked = checkInitData(initData, telegramBotToken, now());
    if ("reason" in checked) throw new Refused(401, checked.reason);
    return checked.user;
  };

  const login = async (c: Context<OpenEnv>, ns: string, names: Names) => {
    c.var.body.authenticated(accountOf({ ns }));
    const token = await webTokens.issue({ uid: ownerId, ns });
    return c.json({ token, user: { id: ownerId, ...names } });
  };

  return (
    new Hono<OpenEnv>()
      .post("/api/auth", async (c) => {
        const body = authBody.safeParse(await bodyOf(c));
        if (!body.success) throw new Refused(400, "Invalid body");
        if ("accessToken" in body.data)
          return login(c, namespaceOf(body.data.accessToken, c), { firstName: "Web User" });
        const user = telegramUser(body.data.initData);
        const binding = await store.findBinding(PLATFORM, String(user.id));
        if (binding === undefined) throw new Refused(401, "not_bound");
        return login(c, binding.namespace, namesOf(user));
      })
      .post("/api/bind", async (c) => {
        const body = bindBody.safeParse(await bodyOf(c));
        if (!body.success) throw new Refused(400, "Invalid body");
        const namespace = namespaceOf(body.data.accessToken, c);
        const user = telegramUser(body.data.initData);
        const bound = await store.bindUser({
          platform: PLATFORM,
          platformUserId: String(user.id),
          namespace,
        });
        if (bound === "already-bound") throw new Refused(409, "already_bound");
        return login(c, namespace, namesOf(user));
      })
      // A path that asks for no login has no other method, and asks for none to say so.
      .all("/api/auth", notFound)
      .all("/api/bind", notFound)
  );
}

interface Names {
  readonly username?: string | undefined;
  readonly firstName?: string | undefined;
  readonly lastName?: string | undefined;
}

const namesOf = ({ username, first_name, last_name }: TelegramUser): Names => ({
  username,
  firstName: first_name,
  lastName: last_name,
});
