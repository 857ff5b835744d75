// What a look at one thing found: a result, a sentence for the person, and for a failure the line to change.

/** Stable names of what every server is asked; protocols have more of their own. docs/what-can-go-wrong.md explains each. */
export const CHECKS = [
  "folder",
  "permissions",
  "clock",
  "disk",
  "port",
  "database",
  "backups",
  "retention",
  "addresses",
  "bounds",
  "certificate",
  "plain-http",
] as const;
export type CheckName = string;

export type Result = "ok" | "warning" | "failure" | "skipped";

export const PROXIES = ["nginx", "Caddy", "Traefik", "cloudflared"] as const;
/** The one line to change in each reverse proxy. */
export type ProxyLines = Readonly<Record<(typeof PROXIES)[number], string>>;

export interface Finding {
  readonly check: CheckName;
  readonly result: Result;
  readonly says: string;
  /** What to do, when it is no proxy's matter. */
  readonly fix?: string;
  readonly proxy?: ProxyLines;
}

export const ok = (check: CheckName, says: string): Finding => ({ check, result: "ok", says });
export const skipped = (check: CheckName, says: string): Finding => ({ check, result: "skipped", says });
export const warning = (
  check: CheckName,
  says: string,
  more: Pick<Finding, "fix" | "proxy"> = {},
): Finding => ({
  check,
  result: "warning",
  says,
  ...more,
});
export const failure = (
  check: CheckName,
  says: string,
  more: Pick<Finding, "fix" | "proxy"> = {},
): Finding => ({
  check,
  result: "failure",
  says,
  ...more,
});

/** The text of an error for a sentence, without its final stop. */
export function problemOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\.$/, "");
}
