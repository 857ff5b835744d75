// Pictures that an agent made, read from its host by the session's CLI (HTTP contract, C5). An id names one picture for ever, so a
// browser keeps it.
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import { errorOf } from "../../hub/cli-call.ts";
import { isObject, textAt } from "../../wire/shape.ts";
import type { ApiEnv } from "../kit/env.ts";
import type { Guards } from "../kit/found.ts";
import { unsuccessful } from "../kit/granted.ts";
import { inline } from "./scratchlist.ts";

/** What a browser may show; anything else is a file to keep. */
const SHOWN = /^(?:image|audio|video)\/[\w.+-]+$/;
const TYPE = /^[\w.+-]+\/[\w.+-]+$/;
const UNKNOWN = "application/octet-stream";

export function generatedImageRoutes({ hub: { calls } }: Pick<HapiContext, "hub">, { session }: Guards) {
  return new Hono<ApiEnv>().get("/api/sessions/:id/generated-images/:imageId", session, async (c) => {
    const id = c.req.param("imageId");
    const kept = { etag: `"${quotable(id)}"`, "cache-control": "private, max-age=31536000, immutable" };
    if (isKnown(c.req.header("if-none-match"), kept.etag))
      return new Response(null, { status: 304, headers: kept });
    const called = await calls.call(c.var.key, "readGeneratedImage", { id });
    if (!called.ok) return Response.json(unsuccessful(called), { status: 404 });
    const { answer } = called;
    const content = isObject(answer) && answer.success === true ? textAt(answer, "content") : undefined;
    if (content === undefined || content === "") {
      const error = errorOf(answer) ?? "Generated image not found";
      return c.json({ success: false, error }, 404);
    }
    const given = textAt(answer, "mimeType") ?? UNKNOWN;
    const type = TYPE.test(given) ? given : UNKNOWN;
    const name = textAt(answer, "fileName") ?? "generated-media";
    return new Response(Buffer.from(content, "base64"), {
      headers: {
        ...kept,
        "content-type": type,
        "content-disposition": inline(name, SHOWN.test(type) || type === UNKNOWN ? "inline" : "attachment"),
        "x-content-type-options": "nosniff",
      },
    });
  });
}

/** Header fields are ASCII, and a quote would end the tag. */
const quotable = (id: string): string => (/^[\x21\x23-\x7e]+$/.test(id) ? id : encodeURIComponent(id));

const isKnown = (given: string | undefined, etag: string): boolean =>
  given?.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag) === true;
