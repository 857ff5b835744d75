// The routes of the admin channel about accounts, keys, tokens and invites: the same in a server, behind its channel, and in a command
// that has the database to itself.
import { type Context, Hono } from "hono";
import { z } from "zod";
import { refusal } from "../admin/mount.ts";
import type { Administration } from "./admission/administration.ts";
import type { HappyConfig } from "./settings.ts";

export interface AdminParts {
  readonly administration: Administration;
  /** The address that an invite is built on. */
  readonly baseUrl: () => string;
  /** Who may make an account, as it stands now. */
  readonly registration: () => HappyConfig["happyRegistration"];
}

const MAX_USES = 1_000;
const MAX_FOR_MS = 366 * 24 * 60 * 60_000;
const inviteBody = z.object({
  uses: z.int().min(1).max(MAX_USES),
  forMs: z.int().min(1_000).max(MAX_FOR_MS),
});
const revokeBody = z.object({ tokenId: z.string().min(1).max(100).optional() });

export function adminRoutes({ administration, baseUrl, registration }: AdminParts): Hono {
  const app = new Hono();
  app.get("/accounts", async (context) => context.json(await administration.list()));
  app.post("/keys/:key/approve", async (context) => {
    const account = await administration.approve(context.req.param("key"));
    return account === undefined
      ? refusal(context, "No key waits under this name.")
      : context.json({ account });
  });
  app.post("/keys/:key/refuse", async (context) =>
    (await administration.refuse(context.req.param("key")))
      ? context.json({})
      : refusal(context, "No key waits under this name."),
  );
  for (const action of ["disable", "enable", "remove"] as const)
    app.post(`/accounts/:name/${action}`, (context) =>
      onAccount(context, administration, (account) => administration[action](account)),
    );
  app.get("/tokens", async (context) => context.json({ tokens: await administration.tokens() }));
  app.get("/accounts/:name/tokens", async (context) => {
    const account = await administration.find(context.req.param("name"));
    if (account === undefined) return noAccount(context);
    return context.json({ account, tokens: await administration.tokens(account) });
  });
  app.post("/accounts/:name/revoke", async (context) => {
    const { tokenId } = revokeBody.parse(await context.req.json());
    return onAccount(context, administration, (account) =>
      tokenId === undefined
        ? administration.revokeAllTokens(account)
        : administration.revokeToken(account, tokenId),
    );
  });
  app.post("/invites", async (context) => {
    const { uses, forMs } = inviteBody.parse(await context.req.json());
    const { code, expiresAt } = await administration.invite(uses, forMs);
    return context.json({
      url: `${baseUrl().replace(/\/+$/, "")}/i/${code}`,
      uses,
      expiresAt,
      registration: registration(),
    });
  });
  return app;
}

async function onAccount(
  context: Context,
  administration: Administration,
  change: (account: string) => Promise<boolean>,
): Promise<Response> {
  const account = await administration.find(context.req.param("name") ?? "");
  if (account === undefined || !(await change(account))) return noAccount(context);
  return context.json({ account });
}

const noAccount = (context: Context) => refusal(context, "There is no such account.");
