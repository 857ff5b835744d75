// The page of the house: what each protocol has to say to a person with a browser. No script, nothing that is loaded, and whatever a
// request brought into it is text.
import { createHash } from "node:crypto";

/** Words, something to type or to copy, or a link. */
export type Words = string | { readonly code: string } | { readonly text: string; readonly href: string };

export interface Section {
  readonly title: string;
  readonly paragraphs: readonly (readonly Words[])[];
}

const STYLE =
  "body{max-width:42rem;margin:3rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif;color-scheme:light dark}code{font-size:.95em;overflow-wrap:anywhere}";
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  // The same address answers programs in another way.
  vary: "accept",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
};

export function startPage({ method }: Request, sections: readonly Section[]): Response {
  const parts = sections.map(({ title, paragraphs }) => {
    const all = paragraphs.map((paragraph) => `<p>${paragraph.map(markup).join("")}</p>`);
    return `<section><h2>${escaped(title)}</h2>${all.join("\n")}</section>`;
  });
  const html = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Roost</title><style>${STYLE}</style></head>
<body><h1>Roost</h1>
${parts.join("\n")}
</body>
</html>
`;
  return new Response(method === "HEAD" ? null : html, {
    headers: { ...HEADERS, "content-length": String(Buffer.byteLength(html)) },
  });
}

function markup(words: Words): string {
  if (typeof words === "string") return escaped(words);
  if ("code" in words) return `<code>${escaped(words.code)}</code>`;
  return `<a href="${escaped(words.href)}" rel="noreferrer">${escaped(words.text)}</a>`;
}

const MEANS: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => MEANS[character] ?? "");
