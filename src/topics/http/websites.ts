// The websites resource (topics contract, section 5).
import { Hono } from "hono";
import { z } from "zod";
import type { TopicsContext } from "../context.ts";
import type { Item } from "../item.ts";
import { notFound, Problem } from "../problem.ts";
import type { TopicsStore } from "../store/index.ts";
import type { NewWebsite, WebsiteHttps } from "../store/websites.ts";
import { type DomainLine, normalDomains } from "./domains.ts";
import { success } from "./envelope.ts";
import type { Guards, TopicsEnv } from "./guards.ts";
import { idList, idParam, jsonBody, paging, parsed } from "./input.ts";
import { createBody, newWebsite, requestedLines, updateBody, websiteChange } from "./website-input.ts";

const listQuery = paging.extend({
  domain: z
    .string()
    .optional()
    .transform((part) => part?.trim().toLowerCase() || undefined),
  status: z
    .enum(["active", "inactive"])
    .or(z.literal("").transform(() => undefined))
    .optional(),
});

export function websiteRoutes(context: TopicsContext, { user }: Guards) {
  const { store } = context;
  return new Hono<TopicsEnv>()
    .get("/websites", ...user, async (c) => {
      const { page, pageSize, ...filter } = parsed(listQuery, c.req.query());
      return success({ ...(await store.pageWebsites(filter, page, pageSize)), page, pageSize }, context);
    })
    .get("/websites/:id", ...user, async (c) => {
      const { id } = parsed(idParam, c.req.param());
      const item = await store.findWebsite(id);
      if (item === undefined) throw notFound("website");
      return success({ item }, context);
    })
    .get("/websites/:id/https", ...user, async (c) => {
      const { id } = parsed(idParam, c.req.param());
      return success({ item: httpsItem(await store.findWebsiteHttps(id)) }, context);
    })
    .post("/websites/create", ...user, async (c) => {
      const body = await jsonBody(c, createBody);
      const website = newWebsite(body);
      if (body.domains === undefined && body.domains_text !== undefined)
        return success(await createLines(store, website, requestedLines(body.domains_text)), context);
      const domains = normalDomains(body.domains ?? []);
      const item = await store.createWebsite({ ...website, domains });
      const items: CreatedLine[] = [
        { line: 1, created: true, website_id: item.website_id, domains, error: null },
      ];
      return success({ id: item.website_id, item, items }, context);
    })
    .post("/websites/update", ...user, async (c) => {
      const body = await jsonBody(c, updateBody);
      const item = await store.updateWebsite(body.id, websiteChange(body));
      return success({ success: true, id: body.id, item }, context);
    })
    .post("/websites/delete", ...user, async (c) => {
      const { ids } = await jsonBody(c, idList);
      return success({ success: true, ...(await store.removeWebsites(ids)) }, context);
    });
}

/** Without a row, the defaults. */
const httpsItem = (row: WebsiteHttps | undefined) => ({
  id: row?.id ?? null,
  website_id: row?.websiteId ?? null,
  enabled: row?.enabled ?? false,
  force_redirect: row?.forceRedirect ?? false,
  hsts: row?.hsts ?? false,
  cert_mode: row?.certMode ?? "acme",
  certificate_id: row?.certificateId ?? null,
  acme_provider_id: row?.acmeProviderId ?? null,
  acme_account_id: row?.acmeAccountId ?? null,
  created_at: row === undefined ? null : new Date(row.createdAt).toISOString(),
  updated_at: row === undefined ? null : new Date(row.updatedAt).toISOString(),
});

/** What became of one line of the text. */
interface CreatedLine {
  readonly line: number;
  readonly created: boolean;
  readonly website_id: unknown;
  readonly domains: readonly string[];
  readonly error: string | null;
}

/** So many lines share one commit. */
const LINES_AT_ONCE = 50;

/** Each line is an operation of its own; one that fails leaves the others alone. */
async function createLines(
  store: TopicsStore,
  website: Omit<NewWebsite, "domains">,
  lines: readonly DomainLine[],
): Promise<{ id?: unknown; item?: Item; items: CreatedLine[] }> {
  await store.requireLineGroup(website.lineGroupId);
  const items: CreatedLine[] = [];
  let first: Item | undefined;
  for (let start = 0; start < lines.length; start += LINES_AT_ONCE) {
    const chunk = lines.slice(start, start + LINES_AT_ONCE);
    for (const { item, ...line } of await Promise.all(
      chunk.map((entry) => createLine(store, website, entry)),
    )) {
      first ??= item;
      items.push(line);
    }
  }
  return first === undefined ? { items } : { id: first.website_id, item: first, items };
}

async function createLine(
  store: TopicsStore,
  website: Omit<NewWebsite, "domains">,
  { line, domains: given }: DomainLine,
): Promise<CreatedLine & { item?: Item }> {
  try {
    const domains = normalDomains(given);
    const item = await store.createWebsite({ ...website, domains });
    return { line, created: true, website_id: item.website_id, domains, error: null, item };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { line, created: false, website_id: null, domains: given, error: error.message };
  }
}
