// Looking for files of a session: what ripgrep is asked, and what is made of its lines (hapi-http-sse A9 and C3).
import { isObject } from "./shape.ts";

export interface FoundFile {
  readonly fileName: string;
  /** Its folder; empty in the root. */
  readonly filePath: string;
  readonly fullPath: string;
  readonly fileType: "file";
  readonly size?: number | undefined;
  readonly modified?: number | undefined;
}

const hasWildcard = (query: string): boolean => /[*?]/.test(query);

/** A pattern of wildcards is matched here and not by ripgrep; everything else that means something in a glob is taken literally there. */
export function searchArgs(query: string): readonly string[] {
  if (query === "" || hasWildcard(query)) return ["--files"];
  return ["--files", "--iglob", `*${query.replace(/[[\]{}!\\]/g, "\\$&")}*`];
}

/**
 * Whether a path has the query in it, whatever the case; with wildcards, whether the whole path is like the pattern, where `*` is anything,
 * also across folders, and `?` one character (probed).
 */
function matcher(query: string): (path: string) => boolean {
  const wanted = query.toLowerCase();
  if (!hasWildcard(query)) return (path) => path.toLowerCase().includes(wanted);
  const parts = wanted.split("*");
  return (path) => isLike(path.toLowerCase(), parts);
}

/** What is before the first `*` begins the path, what is after the last ends it; each part between as early as it goes. */
function isLike(path: string, parts: readonly string[]): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return path.length === first.length && isAt(path, first, 0);
  const end = path.length - last.length;
  if (end < first.length || !isAt(path, first, 0) || !isAt(path, last, end)) return false;
  let from = first.length;
  for (const part of rest) {
    const at = indexOf(path, part, from, end);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

function indexOf(path: string, part: string, from: number, end: number): number {
  if (!part.includes("?")) {
    const at = path.indexOf(part, from);
    return at + part.length <= end ? at : -1;
  }
  for (let at = from; at + part.length <= end; at++) if (isAt(path, part, at)) return at;
  return -1;
}

function isAt(path: string, part: string, at: number): boolean {
  let same = 0;
  while (same < part.length && (part[same] === "?" || part[same] === path[at + same])) same++;
  return same === part.length;
}

export function filesIn(stdout: string, query: string, limit: number): readonly FoundFile[] {
  const matches = matcher(query);
  const files: FoundFile[] = [];
  for (const line of stdout.split("\n")) {
    const fullPath = line.trim();
    if (fullPath === "" || !matches(fullPath)) continue;
    const cut = fullPath.lastIndexOf("/");
    files.push({
      fileName: fullPath.slice(cut + 1),
      filePath: cut < 0 ? "" : fullPath.slice(0, cut),
      fullPath,
      fileType: "file",
    });
    if (files.length === limit) break;
  }
  return files;
}

/** Sizes and times, where the CLI says them. */
export function withStats(files: readonly FoundFile[], answer: unknown): readonly FoundFile[] {
  if (!isObject(answer) || !Array.isArray(answer.entries)) return files;
  const byPath = new Map<unknown, Readonly<Record<string, unknown>>>(
    answer.entries.filter(isObject).map((entry) => [entry.path, entry]),
  );
  return files.map((file) => {
    const { size, modified } = byPath.get(file.fullPath) ?? {};
    return {
      ...file,
      size: typeof size === "number" ? size : undefined,
      modified: typeof modified === "number" ? modified : undefined,
    };
  });
}
