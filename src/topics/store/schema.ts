// The tables of migrations/topics, as drizzle reads them. A test holds both to the same columns.
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const id = () => integer("id").primaryKey({ autoIncrement: true });
const flag = (name: string) => integer(name, { mode: "boolean" }).notNull().default(false);
const status = () =>
  text("status", { enum: ["active", "inactive"] })
    .notNull()
    .default("active");
const times = () => ({
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const users = sqliteTable("users", {
  id: id(),
  username: text("username").notNull(),
  passwordHash: text("password_hash").notNull(),
  role: text("role").notNull().default("admin"),
  status: status(),
  ...times(),
});

export const lineGroups = sqliteTable("line_groups", {
  id: id(),
  name: text("name").notNull(),
  cnamePrefix: text("cname_prefix").notNull(),
  cname: text("cname").notNull().default(""),
  status: status(),
  ...times(),
});

export const websites = sqliteTable("websites", {
  id: id(),
  lineGroupId: integer("line_group_id").notNull(),
  cacheRuleId: integer("cache_rule_id"),
  originMode: text("origin_mode", { enum: ["group", "manual", "redirect"] }).notNull(),
  originGroupId: integer("origin_group_id"),
  originSetId: integer("origin_set_id"),
  originAddresses: text("origin_addresses"),
  redirectUrl: text("redirect_url").notNull().default(""),
  redirectStatusCode: integer("redirect_status_code").notNull().default(0),
  status: status(),
  ...times(),
});

export const websiteDomains = sqliteTable("website_domains", {
  id: id(),
  websiteId: integer("website_id").notNull(),
  domain: text("domain").notNull(),
  isPrimary: flag("is_primary"),
  cname: text("cname").notNull().default(""),
  ...times(),
});

export const websiteHttps = sqliteTable("website_https", {
  id: id(),
  websiteId: integer("website_id").notNull(),
  enabled: flag("enabled"),
  forceRedirect: flag("force_redirect"),
  hsts: flag("hsts"),
  certMode: text("cert_mode", { enum: ["select", "acme"] })
    .notNull()
    .default("acme"),
  certificateId: integer("certificate_id"),
  acmeProviderId: integer("acme_provider_id"),
  acmeAccountId: integer("acme_account_id"),
  ...times(),
});

export const topicDocuments = sqliteTable("topic_documents", {
  id: id(),
  topic: text("topic").notNull(),
  document: text("document").notNull(),
  ...times(),
});

export const wsEvents = sqliteTable("ws_events", {
  id: id(),
  topic: text("topic").notNull(),
  eventType: text("event_type", { enum: ["add", "update", "delete"] }).notNull(),
  payload: text("payload").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const wsTopicState = sqliteTable("ws_topic_state", {
  topic: text("topic").primaryKey(),
  version: integer("version").notNull().default(0),
  published: integer("published").notNull().default(0),
  lastEventId: integer("last_event_id").notNull().default(0),
  prunedThroughId: integer("pruned_through_id").notNull().default(0),
  forceFullThrough: integer("force_full_through").notNull().default(0),
  updatedAt: integer("updated_at").notNull().default(0),
});
