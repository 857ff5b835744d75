// The websites resource (topics contract, section 5).
import { z } from "zod";
import type { TopicsContext } from "../context.ts";
import { notFound, Problem } from "../problem.ts";
import { removeItems } from "../store/removal.ts";
import { pageWebsites, websiteItem } from "../store/website-items.ts";
import {
  createWebsite,
  type NewWebsite,
  removeWebsite,
  requireLineGroup,
  updateWebsite,
  websiteHttpsRow,
} from "../store/websites.ts";
import type { Item } from "../topic.ts";
import { websitesTopic } from "../websites.ts";
import { type DomainLine, normalDomains } from "./domains.ts";
import { endpoint, idList, idParam, paging } from "./kit/endpoint.ts";
import { createBody, newWebsite, requestedLines, updateBody, websiteChange } from "./website-input.ts";

const list = endpoint(
  {
    method: "GET",
    path: "/websites",
    query: paging.extend({
      domain: z
        .string()
        .optional()
        .transform((part) => part?.trim().toLowerCase() || undefined),
      status: z
        .enum(["active", "inactive"])
        .or(z.literal("").transform(() => undefined))
        .optional(),
    }),
  },
  ({ context, query: { page, pageSize, domain, status } }) => ({
    ...pageWebsites(context.database.reads, { domain, status }, page, pageSize),
    page,
    pageSize,
  }),
);

const get = endpoint(
  { method: "GET", path: "/websites/:id", params: idParam },
  ({ context, params: { id } }) => {
    const item = websiteItem(context.database.reads, id);
    if (item === undefined) throw notFound("website");
    return { item };
  },
);

const getHttps = endpoint(
  { method: "GET", path: "/websites/:id/https", params: idParam },
  ({ context, params: { id } }) => {
    const row = websiteHttpsRow(context.database.reads, id);
    return {
      item: {
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
      },
    };
  },
);

/** What became of one line of the text. */
interface CreatedLine {
  readonly line: number;
  readonly created: boolean;
  readonly website_id: unknown;
  readonly domains: readonly string[];
  readonly error: string | null;
}

const create = endpoint(
  { method: "POST", path: "/websites/create", body: createBody },
  async ({ context, body }) => {
    const website = newWebsite(body);
    if (body.domains === undefined && body.domains_text !== undefined) {
      return createLines(context, website, requestedLines(body.domains_text));
    }
    const domains = normalDomains(body.domains ?? []);
    const item = await createWebsite(context.events, { ...website, domains });
    const items: CreatedLine[] = [
      { line: 1, created: true, website_id: item.website_id, domains, error: null },
    ];
    return { id: item.website_id, item, items };
  },
);

/** So many lines share one commit. */
const LINES_AT_ONCE = 50;

/** Each line is an operation of its own; one that fails leaves the others alone. */
async function createLines(
  context: TopicsContext,
  website: Omit<NewWebsite, "domains">,
  lines: readonly DomainLine[],
): Promise<{ id?: unknown; item?: Item; items: CreatedLine[] }> {
  requireLineGroup(context.database.reads, website.lineGroupId);
  const items: CreatedLine[] = [];
  let first: Item | undefined;
  for (let start = 0; start < lines.length; start += LINES_AT_ONCE) {
    const chunk = lines.slice(start, start + LINES_AT_ONCE);
    for (const { item, ...line } of await Promise.all(
      chunk.map((entry) => createLine(context, website, entry)),
    )) {
      first ??= item;
      items.push(line);
    }
  }
  return first === undefined ? { items } : { id: first.website_id, item: first, items };
}

async function createLine(
  context: TopicsContext,
  website: Omit<NewWebsite, "domains">,
  { line, domains: given }: DomainLine,
): Promise<CreatedLine & { item?: Item }> {
  try {
    const domains = normalDomains(given);
    const item = await createWebsite(context.events, { ...website, domains });
    return { line, created: true, website_id: item.website_id, domains, error: null, item };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { line, created: false, website_id: null, domains: given, error: error.message };
  }
}

const update = endpoint(
  { method: "POST", path: "/websites/update", body: updateBody },
  async ({ context, body }) => ({
    success: true,
    id: body.id,
    item: await updateWebsite(context.events, body.id, websiteChange(body)),
  }),
);

const remove = endpoint(
  { method: "POST", path: "/websites/delete", body: idList },
  async ({ context, body }) => ({
    success: true,
    ...(await removeItems(context.events, websitesTopic, body.ids, removeWebsite)),
  }),
);

export const websiteEndpoints = [list, get, getHttps, create, update, remove];
