// Whether a store app is too old, and which build this is (HTTP contract 15.1, and the additive GET of 17).
import { z } from "zod";
import { build } from "../../build-info.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";

const STORES = new Map([
  ["ios", "https://apps.apple.com/us/app/happy-claude-code-client/id6748571505"],
  ["android", "https://play.google.com/store/apps/details?id=com.ex3ndr.happy"],
]);

/** An app in this range is not asked to update. A prerelease is in no such range, however new it is. */
const CURRENT = ">=1.4.1";

/** Semver 2.0 with an optional `v`, as the original's library reads it; Bun's own reads more, such as `=1.4.1` and `01.4.1`. */
const SEMVER =
  /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const MAX_LENGTH = 256;

export function isCurrent(version: string): boolean {
  const text = version.trim();
  const [, ...numbers] = (version.length <= MAX_LENGTH && SEMVER.exec(text)) || [];
  return (
    numbers.length === 3 &&
    numbers.every((number) => Number.isSafeInteger(Number(number))) &&
    Bun.semver.satisfies(text, CURRENT)
  );
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
