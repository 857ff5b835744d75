// Domain names as people type them -> as they are stored, or a refusal (topics contract, 5.1).
import { isIP } from "node:net";
import { badFormat } from "../problem.ts";

const MAX_LENGTH = 255;
/** One website travels whole in every event about it. */
export const MAX_DOMAINS = 1_000;

/** Trimmed, lower case, without a port or a final dot. @throws Problem 2002 for what cannot be a domain. */
export function normalDomain(text: string): string {
  const domain = text.trim().toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
  const usable =
    domain.length <= MAX_LENGTH &&
    /^[a-z0-9.*-]+$/.test(domain) &&
    !/^[.-]|[.-]$/.test(domain) &&
    domain.includes(".") &&
    isIP(domain) === 0;
  if (!usable) throw badFormat(`"${text.slice(0, 100)}" is not a domain`);
  return domain;
}

/** Normal form of a website's domains, without repetitions, the primary one first. @throws Problem 2002 */
export function normalDomains(texts: readonly string[]): string[] {
  if (texts.length === 0) throw badFormat("domains: at least one is needed");
  if (texts.length > MAX_DOMAINS) throw badFormat(`domains: more than ${MAX_DOMAINS}`);
  return [...new Set(texts.map(normalDomain))];
}

export interface DomainLine {
  /** Number in the text, from 1. */
  readonly line: number;
  readonly domains: readonly string[];
}

/** One website a line that is not blank, its domains separated by blanks. */
export function domainLines(text: string): DomainLine[] {
  return text
    .split("\n")
    .map((line, index) => ({ line: index + 1, domains: line.split(/\s+/).filter((word) => word !== "") }))
    .filter(({ domains }) => domains.length > 0);
}
