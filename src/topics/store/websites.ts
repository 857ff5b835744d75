// Changes of websites, each one atomic operation with its event (topics contract, section 5).
import { and, eq, ne, sql } from "drizzle-orm";
import { type Db, prepared } from "../../storage/query.ts";
import type { Item } from "../item.ts";
import { type Https, type HttpsInput, httpsAfter, type OriginInput, originAfter } from "../origin.ts";
import { notFound, Problem } from "../problem.ts";
import { websitesTopic } from "../websites.ts";
import type { EventLog } from "./events.ts";
import { lineGroups, websiteDomains, websiteHttps, websites } from "./schema.ts";

export interface NewWebsite {
  readonly lineGroupId: number;
  readonly cacheRuleId: number | null;
  /** In their normal form, the primary one first. */
  readonly domains: readonly string[];
  readonly origin: OriginInput;
  readonly https: HttpsInput | undefined;
}

/** @throws Problem 3001 for an unknown line group, 3002 for a domain of another website. */
export function createWebsite(log: EventLog, input: NewWebsite): Promise<Item> {
  return log.change(websitesTopic, (db, publish) => {
    const now = Date.now();
    const cname = cnameOf(db, input.lineGroupId);
    const { id } = db
      .insert(websites)
      .values({
        lineGroupId: input.lineGroupId,
        cacheRuleId: input.cacheRuleId,
        ...originAfter(undefined, input.origin),
        createdAt: now,
        updatedAt: now,
      })
      .returning({ id: websites.id })
      .get();
    addDomains(db, id, input.domains, cname, now);
    if (input.https !== undefined) saveHttps(db, id, input.https, now);
    return published(publish("add", id));
  });
}

/** Absent means unchanged. */
export interface WebsiteChange {
  readonly lineGroupId?: number | undefined;
  readonly cacheRuleId?: number | null | undefined;
  readonly status?: "active" | "inactive" | undefined;
  readonly domains?: readonly string[] | undefined;
  readonly origin: OriginInput;
  readonly https?: HttpsInput | undefined;
}

/** @throws Problem 3001 for an unknown website or line group, 3002 for a domain of another website. */
export function updateWebsite(log: EventLog, id: number, input: WebsiteChange): Promise<Item> {
  return log.change(websitesTopic, (db, publish) => {
    const before = db.select().from(websites).where(eq(websites.id, id)).get();
    if (before === undefined) throw notFound("website");
    const now = Date.now();
    const cname = cnameOf(db, input.lineGroupId ?? before.lineGroupId);
    db.update(websites)
      .set({
        lineGroupId: input.lineGroupId ?? before.lineGroupId,
        cacheRuleId: input.cacheRuleId === undefined ? before.cacheRuleId : input.cacheRuleId,
        status: input.status ?? before.status,
        ...originAfter(before, input.origin),
        updatedAt: now,
      })
      .where(eq(websites.id, id))
      .run();
    if (input.domains !== undefined) {
      db.delete(websiteDomains).where(eq(websiteDomains.websiteId, id)).run();
      addDomains(db, id, input.domains, cname, now);
    } else if (input.lineGroupId !== undefined) {
      db.update(websiteDomains).set({ cname, updatedAt: now }).where(eq(websiteDomains.websiteId, id)).run();
    }
    if (input.https !== undefined) saveHttps(db, id, input.https, now);
    return published(publish("update", id));
  });
}

/** Domains and HTTPS settings go with it. False when it is not there. */
export function removeWebsite(db: Db, id: number): boolean {
  return db.delete(websites).where(eq(websites.id, id)).returning({ id: websites.id }).all().length > 0;
}

export type WebsiteHttps = typeof websiteHttps.$inferSelect;

/** The HTTPS settings of a website, undefined when none were ever given. @throws Problem 3001 for an unknown website. */
export function websiteHttpsRow(db: Db, id: number): WebsiteHttps | undefined {
  const known = db.select({ id: websites.id }).from(websites).where(eq(websites.id, id)).get();
  if (known === undefined) throw notFound("website");
  return db.select().from(websiteHttps).where(eq(websiteHttps.websiteId, id)).get();
}

/** @throws Problem 3001 */
export function requireLineGroup(db: Db, id: number): void {
  cnameOf(db, id);
}

function cnameOf(db: Db, lineGroupId: number): string {
  const group = db
    .select({ cname: lineGroups.cname })
    .from(lineGroups)
    .where(eq(lineGroups.id, lineGroupId))
    .get();
  if (group === undefined) throw notFound("line group");
  return group.cname;
}

const owner = prepared((db) =>
  db
    .select({ id: websiteDomains.websiteId })
    .from(websiteDomains)
    .where(
      and(
        eq(websiteDomains.domain, sql.placeholder("domain")),
        ne(websiteDomains.websiteId, sql.placeholder("website")),
      ),
    )
    .prepare(),
);

function addDomains(db: Db, websiteId: number, domains: readonly string[], cname: string, now: number): void {
  for (const [index, domain] of domains.entries()) {
    if (owner(db).get({ domain, website: websiteId }) !== undefined) {
      throw new Problem(3002, `domain ${domain} already exists`);
    }
    db.insert(websiteDomains)
      .values({ websiteId, domain, isPrimary: index === 0, cname, createdAt: now, updatedAt: now })
      .run();
  }
}

function saveHttps(db: Db, websiteId: number, input: HttpsInput, now: number): void {
  const before: Https | undefined = db
    .select()
    .from(websiteHttps)
    .where(eq(websiteHttps.websiteId, websiteId))
    .get();
  const { enabled, forceRedirect, hsts, certMode, certificateId, acmeProviderId, acmeAccountId } = httpsAfter(
    before,
    input,
  );
  const set = { enabled, forceRedirect, hsts, certMode, certificateId, acmeProviderId, acmeAccountId };
  db.insert(websiteHttps)
    .values({ websiteId, ...set, createdAt: now, updatedAt: now })
    .onConflictDoUpdate({ target: websiteHttps.websiteId, set: { ...set, updatedAt: now } })
    .run();
}

function published(item: Item | undefined): Item {
  if (item === undefined) throw new Error("the website vanished inside its own operation");
  return item;
}
