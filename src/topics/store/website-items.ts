// Websites as clients get them: one projection for lists, snapshots and events (topics contract, section 4).
import { and, asc, desc, eq, exists, gte, lte, type SQL, sql } from "drizzle-orm";
import { type Db, prepared } from "../../storage/query.ts";
import { cutPage, eachRead, PAGE_BYTES, WHOLE_BYTES } from "../../storage/weighed-list.ts";
import { type Item, type ItemPage, LazyItems } from "../item.ts";
import { lineGroups, websiteDomains, websiteHttps, websites } from "./schema.ts";
import type { TopicItems } from "./topic-items.ts";

const columns = {
  id: websites.id,
  lineGroupId: websites.lineGroupId,
  lineGroupName: lineGroups.name,
  lineGroupCname: lineGroups.cname,
  httpsEnabled: websiteHttps.enabled,
  status: websites.status,
  cacheRuleId: websites.cacheRuleId,
  originMode: websites.originMode,
  originGroupId: websites.originGroupId,
  originSetId: websites.originSetId,
  redirectUrl: websites.redirectUrl,
  redirectStatusCode: websites.redirectStatusCode,
  createdAt: websites.createdAt,
  updatedAt: websites.updatedAt,
};

const rows = (db: Db) =>
  db
    .select(columns)
    .from(websites)
    .leftJoin(lineGroups, eq(lineGroups.id, websites.lineGroupId))
    .leftJoin(websiteHttps, eq(websiteHttps.websiteId, websites.id));

const domainRows = (db: Db) =>
  db
    .select({
      websiteId: websiteDomains.websiteId,
      domain: websiteDomains.domain,
      isPrimary: websiteDomains.isPrimary,
      cname: websiteDomains.cname,
    })
    .from(websiteDomains);

type Row = ReturnType<typeof one>;
type DomainRow = ReturnType<ReturnType<typeof domainsOf>["all"]>[number];

const oneRow = prepared((db) =>
  rows(db)
    .where(eq(websites.id, sql.placeholder("id")))
    .prepare(),
);
const one = (db: Db, id: number) => oneRow(db).get({ id });

const domainsOf = prepared((db) =>
  domainRows(db)
    .where(eq(websiteDomains.websiteId, sql.placeholder("id")))
    .orderBy(desc(websiteDomains.isPrimary), asc(websiteDomains.id))
    .prepare(),
);

export function websiteItem(db: Db, id: number): Item | undefined {
  const row = one(db, id);
  return row === undefined ? undefined : item(row, domainsOf(db).all({ id }));
}

const newestRows = prepared((db) =>
  rows(db).orderBy(desc(websites.id)).limit(sql.placeholder("limit")).prepare(),
);
const domainsBetween = prepared((db) =>
  domainRows(db)
    .where(
      and(
        gte(websiteDomains.websiteId, sql.placeholder("first")),
        lte(websiteDomains.websiteId, sql.placeholder("last")),
      ),
    )
    .orderBy(asc(websiteDomains.websiteId), desc(websiteDomains.isPrimary), asc(websiteDomains.id))
    .prepare(),
);

/** Newest id first, as many as fit into the bytes of a page: a website may have thousands of domains. */
function newestWebsites(db: Db, limit: number): { items: Item[]; total: number } {
  const found = newestRows(db).all({ limit });
  return { items: withDomains(db, fitting(db, found)), total: count(db, undefined) };
}

/** How the topic of websites is read. */
export const websiteItems: TopicItems = { snapshot: newestWebsites, project: websiteItem };

const domainBytes = prepared((db) =>
  db
    .select({ bytes: sql<number>`coalesce(sum(octet_length(${websiteDomains.domain})), 0)` })
    .from(websiteDomains)
    .where(
      and(
        gte(websiteDomains.websiteId, sql.placeholder("first")),
        lte(websiteDomains.websiteId, sql.placeholder("last")),
      ),
    )
    .prepare(),
);

/** Of the domains of rows in descending id order, and of what stands between them. */
function bytesOf(db: Db, found: readonly Row[]): number {
  const first = found.at(-1)?.id;
  const last = found[0]?.id;
  return first === undefined || last === undefined ? 0 : (domainBytes(db).get({ first, last })?.bytes ?? 0);
}

function fitting(db: Db, found: readonly Row[]): readonly Row[] {
  if (bytesOf(db, found) <= PAGE_BYTES) return found;
  const weighed = found.map((row) => ({ row, bytes: row === undefined ? 0 : bytesOf(db, [row]) }));
  return cutPage(weighed, found.length, PAGE_BYTES).map(({ row }) => row);
}

export interface WebsiteFilter {
  /** Part of any of its domains. */
  readonly domain?: string | undefined;
  readonly status?: "active" | "inactive" | undefined;
}

export function pageWebsites(db: Db, filter: WebsiteFilter, page: number, pageSize: number): ItemPage {
  const where = and(
    filter.status === undefined ? undefined : eq(websites.status, filter.status),
    filter.domain === undefined ? undefined : hasDomain(db, filter.domain),
  );
  const found = rows(db)
    .where(where)
    .orderBy(desc(websites.id))
    .limit(pageSize)
    .offset((page - 1) * pageSize)
    .all();
  const items =
    bytesOf(db, found) <= WHOLE_BYTES
      ? withDomains(db, found)
      : new LazyItems(eachRead(found, (row) => websiteItem(db, row.id)));
  return { items, total: count(db, where) };
}

function hasDomain(db: Db, part: string): SQL {
  return exists(
    db
      .select({ one: sql`1` })
      .from(websiteDomains)
      .where(
        and(eq(websiteDomains.websiteId, websites.id), sql`instr(${websiteDomains.domain}, ${part}) > 0`),
      ),
  );
}

function count(db: Db, where: SQL | undefined): number {
  return db.select({ n: sql<number>`count(*)` }).from(websites).where(where).get()?.n ?? 0;
}

/** Rows in descending id order get their domains with one query. */
function withDomains(db: Db, found: readonly Row[]): Item[] {
  const first = found.at(-1)?.id;
  const last = found[0]?.id;
  if (first === undefined || last === undefined) return [];
  const byWebsite = Map.groupBy(domainsBetween(db).all({ first, last }), ({ websiteId }) => websiteId);
  return found.flatMap((row) => (row === undefined ? [] : [item(row, byWebsite.get(row.id) ?? [])]));
}

function item(row: NonNullable<Row>, domains: readonly DomainRow[]): Item {
  const primary = domains.find(({ isPrimary }) => isPrimary);
  return {
    website_id: row.id,
    id: row.id,
    primary_domain: primary?.domain ?? "",
    domains: domains.map(({ domain }) => domain),
    cname: primary?.cname || row.lineGroupCname || "",
    line_group: row.lineGroupName ?? "",
    line_group_id: row.lineGroupId,
    line_group_name: row.lineGroupName ?? "",
    https_enabled: row.httpsEnabled ?? false,
    status: row.status,
    origin_mode: row.originMode,
    redirect_url: row.redirectUrl,
    redirect_status_code: row.redirectStatusCode,
    cache_rule_id: row.cacheRuleId,
    origin_group_id: row.originGroupId,
    origin_set_id: row.originSetId,
    // Origin groups are managed elsewhere; this server knows their ids, not their names (contract, section 1).
    origin_group_name: null,
    created_at: new Date(row.createdAt).toISOString(),
    updated_at: new Date(row.updatedAt).toISOString(),
  };
}
