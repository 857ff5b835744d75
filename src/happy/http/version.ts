// Whether a store app is too old, and which build this is (HTTP contract 15.1, and the additive GET of 17).
import { z } from "zod";
import { build } from "../../build-info.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";

const STORES = new Map([
  ["ios", "https://apps.apple.com/us/app/happy-claude-code-client/id6748571505"],
  ["android", "https://play.google.com/store/apps/details?id=com.ex3ndr.happy"],
]);

/** The oldest app that is not asked to update. */
const OLDEST = [1, 4, 1] as const;

/** Strict semver 2.0 with an optional `v`; the prerelease part is captured. */
const SEMVER =
  /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const MAX_LENGTH = 256;

/** True for a release in the range `>=1.4.1`. A prerelease is in no such range, however new it is. */
export function isCurrent(version: string): boolean {
  const parts = version.length > MAX_LENGTH ? null : SEMVER.exec(version.trim());
  if (parts === null || parts[4] !== undefined) return false;
  const numbers = parts.slice(1, 4).map(Number);
  if (!numbers.every(Number.isSafeInteger)) return false;
  for (const [index, oldest] of OLDEST.entries()) {
    const number = numbers[index] ?? 0;
    if (number !== oldest) return number > oldest;
  }
  return true;
}

const check = endpoint(
  {
    method: "POST",
    path: "/v1/version",
    auth: "none",
    body: z.object({ platform: z.string(), version: z.string(), app_id: z.string() }),
  },
  ({ body: { platform, version } }) => {
    const store = STORES.get(platform.toLowerCase());
    return json({ updateUrl: store === undefined || isCurrent(version) ? null : store });
  },
);

const read = endpoint({ method: "GET", path: "/v1/version", auth: "none" }, () =>
  json({ name: "happy-server", version: build.version }),
);

export const versionEndpoints: readonly Endpoint[] = [check, read];
