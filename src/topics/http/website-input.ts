// Website bodies as clients send them: keys in snake_case or camelCase, snake_case first (topics contract, section 5).
import { z } from "zod";
import type { HttpsInput, OriginInput } from "../origin.ts";
import { badFormat } from "../problem.ts";
import type { NewWebsite, WebsiteChange } from "../store/websites.ts";
import { domainLines, normalDomains } from "./domains.ts";

const MAX_ADDRESSES = 1_000;
const MAX_LINES = 1_000;

/** Null is as good as absent. */
const maybe = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);
/** 0 and null clear. */
const idOrNone = z
  .int()
  .min(0)
  .nullable()
  .transform((id) => id || null);

const https = z.object({
  enabled: maybe(z.boolean()),
  force_redirect: maybe(z.boolean()),
  hsts: maybe(z.boolean()),
  cert_mode: maybe(z.enum(["select", "acme"])),
  certificate_id: idOrNone.optional(),
  acme_provider_id: idOrNone.optional(),
  acme_account_id: idOrNone.optional(),
});

const address = z.object({
  role: z.enum(["primary", "backup"]),
  protocol: z.enum(["http", "https"]),
  address: z.string().min(1),
  weight: z.int().optional(),
  enabled: z.boolean().optional(),
});

const fields = {
  line_group_id: z.int().positive(),
  cache_rule_id: idOrNone.optional(),
  domains: maybe(z.array(z.string()).min(1)),
  domains_text: maybe(z.string()),
  origin_mode: z.enum(["group", "manual", "redirect"]),
  origin_group_id: z.int().nullish(),
  origin_set_id: idOrNone.optional(),
  origin_addresses: maybe(z.array(address).max(MAX_ADDRESSES)),
  redirect_url: maybe(z.string().trim().max(2048)),
  redirect_status_code: maybe(z.int()),
  https: maybe(https),
  https_enabled: maybe(z.boolean()),
  force_https_redirect: maybe(z.boolean()),
};

const camelOf = (key: string) =>
  key.replace(/_([a-z])/g, (_underscore, letter: string) => letter.toUpperCase());

/** Accepts every key also in camelCase. */
function bothDialects<S extends z.ZodRawShape>(shape: S) {
  const aliases = Object.keys(shape).map((key) => [key, camelOf(key)] as const);
  return z.preprocess((body) => {
    if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
    const given = body as Record<string, unknown>;
    return Object.fromEntries(aliases.map(([snake, camel]) => [snake, given[snake] ?? given[camel]]));
  }, z.object(shape));
}

export const createBody = bothDialects(fields);
export const updateBody = bothDialects({
  ...fields,
  id: z.int().positive(),
  line_group_id: maybe(fields.line_group_id),
  origin_mode: maybe(fields.origin_mode),
  status: maybe(z.enum(["active", "inactive"])),
});

type Create = z.output<typeof createBody>;
type Update = z.output<typeof updateBody>;

/** What one website of the body is made of, but its domains. */
export function newWebsite(body: Create): Omit<NewWebsite, "domains"> {
  return {
    lineGroupId: body.line_group_id,
    cacheRuleId: body.cache_rule_id ?? null,
    origin: originOf(body),
    https: httpsOf(body),
  };
}

/** @throws Problem 2002 */
export function websiteChange(body: Update): WebsiteChange {
  return {
    lineGroupId: body.line_group_id,
    cacheRuleId: body.cache_rule_id,
    status: body.status,
    domains: replacedDomains(body),
    origin: originOf(body),
    https: httpsOf(body),
  };
}

/** The domains of every website that the text asks for. @throws Problem 2002 */
export function requestedLines(text: string) {
  const lines = domainLines(text);
  if (lines.length === 0) throw badFormat("domainsText: at least one line is needed");
  if (lines.length > MAX_LINES) throw badFormat(`domainsText: more than ${MAX_LINES} lines`);
  return lines;
}

function replacedDomains({ domains, domains_text: text }: Update): string[] | undefined {
  if (domains !== undefined) return normalDomains(domains);
  if (text === undefined) return undefined;
  const [line, ...more] = requestedLines(text);
  if (line === undefined || more.length > 0) throw badFormat("domainsText: exactly one line is needed");
  return normalDomains(line.domains);
}

function originOf(body: Create | Update): OriginInput {
  return {
    mode: body.origin_mode,
    groupId: body.origin_group_id,
    setId: body.origin_set_id,
    addresses: body.origin_addresses,
    redirectUrl: body.redirect_url,
    redirectStatusCode: body.redirect_status_code,
  };
}

function httpsOf(body: Create | Update): HttpsInput | undefined {
  if (body.https !== undefined) {
    return {
      complete: true,
      enabled: body.https.enabled,
      forceRedirect: body.https.force_redirect,
      hsts: body.https.hsts,
      certMode: body.https.cert_mode,
      certificateId: body.https.certificate_id,
      acmeProviderId: body.https.acme_provider_id,
      acmeAccountId: body.https.acme_account_id,
    };
  }
  if (body.https_enabled === undefined && body.force_https_redirect === undefined) return undefined;
  return { complete: false, enabled: body.https_enabled, forceRedirect: body.force_https_redirect };
}
