// Copies the web app from a hub that serves it (HTTP contract, H1): same origin only, no redirects, everything that its service worker
// lists with the content that it tells, within limits. Whole, or an error.
import { createHash } from "node:crypto";
import { type Fetched, HubFiles, type HubLimits } from "./hub-files.ts";
import { assetsIn, type Precached, precacheList } from "./precache.ts";

/** Whole files by name. */
export type AppFiles = ReadonlyMap<string, Fetched>;

export const LIMITS: HubLimits = { files: 1_000, bytes: 64 * 1024 * 1024, silenceMs: 30_000 };
const AT_ONCE = 8;
/** The hub answers it with its index page, whatever the list says. */
const UNCHECKED = "404.html";

/** @throws Error with a sentence: nothing of it is usable then. */
export async function mirror(hubUrl: string, limits: HubLimits = LIMITS): Promise<AppFiles> {
  await using hub = new HubFiles(originOf(hubUrl), limits);
  const worker = await hub.required("sw.js");
  const listed = precacheList(new TextDecoder().decode(worker));
  const files = new Map<string, Fetched>([["sw.js", worker]]);
  const asked = new Set(["sw.js"]);
  const keep = async (name: string, isRequired: boolean, check?: (content: Fetched) => void) => {
    const content = isRequired ? await hub.required(name) : await hub.optional(name);
    if (content === undefined) return;
    check?.(content);
    files.set(name, content);
  };
  const required = new Map<string, Precached>([
    ["manifest.webmanifest", { name: "manifest.webmanifest", md5: undefined }],
    ...listed.map((one) => [one.name, one] as const),
  ]);
  for (const name of required.keys()) asked.add(name);
  hub.willAsk(asked.size);
  await inTurns([...required.values()], ({ name, md5 }) =>
    keep(name, true, (content) => {
      if (md5 !== undefined && name !== UNCHECKED && md5Of(content) !== md5)
        throw new Error(`${name} of ${hub.origin} is not the file that its service worker expects.`);
    }),
  );
  // Names in files that were mentioned in others, until there is no new one.
  for (let known = [...files]; known.length > 0; ) {
    const names = new Set(known.flatMap(([name, content]) => assetsIn(name, content)));
    const further = [...names].filter((name) => !asked.has(name));
    for (const name of further) asked.add(name);
    hub.willAsk(asked.size);
    await inTurns(further, (name) => keep(name, false));
    known = further.flatMap((name) => {
      const content = files.get(name);
      return content === undefined ? [] : [[name, content] as [string, Fetched]];
    });
  }
  return files;
}

/** @throws Error with a sentence */
function originOf(given: string): string {
  const url = URL.parse(given);
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === null || !isHttp) throw new Error(`${given} is no http or https address of a hub.`);
  if (
    url.pathname !== "/" ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== "" ||
    url.password !== ""
  )
    throw new Error("The address of a hub is scheme, host and port only, such as http://127.0.0.1:3006.");
  return url.origin;
}

const md5Of = (content: Fetched): string => createHash("md5").update(content).digest("hex");

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
}
