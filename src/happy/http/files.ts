// Public files such as avatars, without a token (HTTP contract 3.3). Attachments lie in the same store and are never served here.
import { resolve } from "node:path/posix";
import { contentType } from "../../storage/blobs.ts";
import { endpoint, plain } from "./kit/endpoint.ts";
import { mountedPath } from "./kit/mount.ts";
import { notFound } from "./not-found.ts";

const PREFIX = "/files/";

export const files = endpoint(
  { method: "GET", path: `${PREFIX}*`, auth: "none" },
  async ({ context, request }) => {
    const { path } = mountedPath(request);
    if (!path.startsWith(PREFIX) || context.blobs.direct !== undefined) return notFound(request);
    // Resolved like the original does, below an imaginary root that nothing outside can be confused with.
    const resolved = resolve("/root", decodeURIComponent(path.slice(PREFIX.length)));
    if (!resolved.startsWith("/root/")) return plain("Forbidden", 403);
    const key = resolved.slice("/root/".length);
    const blob = key.startsWith("public/") ? await context.blobs.find(key) : undefined;
    if (blob === undefined) return plain("Not found", 404);
    return new Response(blob.bytes, {
      headers: {
        "content-type": contentType(key),
        "content-length": String(blob.size),
        "content-disposition": "inline",
        "x-content-type-options": "nosniff",
        // Bun answers ranges of a file, and says so itself when it was asked for one.
        ...(!request.headers.has("range") && { "accept-ranges": "bytes" }),
      },
    });
  },
);
