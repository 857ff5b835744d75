// What the app's files say about other files: the list that its service worker stores before it serves anything (HTTP contract, E3), and
// names below assets/.
import { isSafeName } from "./names.ts";

export interface Precached {
  readonly name: string;
  /** MD5 of its content, in hex; undefined where a hash in its name says it. */
  readonly md5: string | undefined;
}

const TEXT = `"(?:[^"\\\\\\n]|\\\\.)*"|'(?:[^'\\\\\\n]|\\\\.)*'`;
const entry = (first: string, second: string) => `\\{\\s*${first}\\s*,\\s*${second}\\s*,?\\s*\\}`;
const key = (name: string) => `["']?${name}["']?\\s*:\\s*`;
const ENTRY = new RegExp(
  `${entry(`${key("url")}(${TEXT})`, `${key("revision")}(${TEXT}|null)`)}|${entry(
    `${key("revision")}(${TEXT}|null)`,
    `${key("url")}(${TEXT})`,
  )}`,
  "g",
);
const MD5 = /^[0-9a-f]{32}$/;

/** Each name once. @throws Error with a sentence for a list that is none, or that no app may have. */
export function precacheList(serviceWorker: string): Precached[] {
  const found = new Map<string, Precached>();
  for (const [, url, revision, otherRevision, otherUrl] of serviceWorker.matchAll(ENTRY)) {
    const name = textOf(url ?? otherUrl ?? "");
    const said = revision ?? otherRevision ?? "null";
    const md5 = said === "null" ? undefined : textOf(said);
    if (name === undefined || !isSafeName(name))
      throw new Error(`Its service worker lists ${url ?? otherUrl}, which is no name of a file of the app.`);
    if (said !== "null" && (md5 === undefined || !MD5.test(md5)))
      throw new Error(`Its service worker tells no MD5 of ${name}.`);
    const before = found.get(name);
    if (before !== undefined && before.md5 !== md5)
      throw new Error(`Its service worker lists ${name} twice, with two contents.`);
    found.set(name, { name, md5 });
  }
  if (!found.has("index.html"))
    throw new Error(
      "Its service worker has no list of files with index.html in it: that is no web app of HAPI's.",
    );
  return [...found.values()];
}

/** Of a literal; undefined for one with escapes: names have none. */
const textOf = (literal: string): string | undefined =>
  literal.includes("\\") ? undefined : literal.slice(1, -1);

const ASSET = /(?<![\w.-])assets\/[\w@+~-][\w@+~.-]*(?:\/[\w@+~-][\w@+~.-]*)*/g;
const TELLS = /\.(?:html|js|mjs|css|json|webmanifest|svg)$/;

/** Names below assets/ that a file mentions. Whether they are there is another question. */
export function assetsIn(name: string, content: Uint8Array): string[] {
  if (!TELLS.test(name)) return [];
  const text = new TextDecoder().decode(content);
  const names = [...text.matchAll(ASSET)].map(([word]) => word.replace(/\.+$/, ""));
  return [...new Set(names)].filter(isSafeName);
}
