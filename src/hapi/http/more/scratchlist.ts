// Notes of a session and their files (HTTP contract, C5).
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import { SCRATCH_LIMITS } from "../../hub/scratch-files.ts";
import type { ScratchCode, ScratchResult } from "../../hub/scratchlist.ts";
import type { ScratchEntry } from "../../store/records.ts";
import { bodyOf } from "../kit/body.ts";
import type { ApiEnv, OpenEnv } from "../kit/env.ts";
import { type Guards, keyOf } from "../kit/found.ts";
import { granted, refused as notGranted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";
import { decodedBytes } from "../uploads.ts";

const MAX_TEXT = 10_000;
const text = z
  .string()
  .max(MAX_TEXT)
  .transform((given) => given.trim());
const attachments = z.array(z.object({ path: z.string().min(1), mimeType: z.string().min(1).max(255) }));

const noteBody = z
  .object({
    text: text.default(""),
    entryId: z.string().min(1).max(128).optional(),
    createdAt: z.int().nonnegative().optional(),
    attachments: attachments.default([]),
  })
  .refine(({ text, attachments }) => text !== "" || attachments.length > 0, {
    path: ["text"],
    message: "Scratchlist entry requires text or attachments",
  });
const changeBody = z
  .object({ text: text.optional(), attachments: attachments.optional() })
  .refine(({ text, attachments }) => text !== undefined || attachments !== undefined, {
    path: ["text"],
    message: "Update requires text and/or attachments",
  })
  .refine(({ text, attachments }) => text !== "" || (attachments?.length ?? 0) > 0, {
    path: ["text"],
    message: "Scratchlist entry requires non-empty text or attachments",
  });
const uploadBody = z.object({
  filename: z.string().min(1).max(255),
  content: z.base64().min(1),
  mimeType: z.string().min(1).max(255),
});

interface Said {
  readonly status: 400 | 404 | 409 | 413 | 507;
  readonly code?: string;
}

const SAID: Readonly<Record<ScratchCode, Said>> = {
  "note-not-found": { status: 404 },
  "file-not-found": { status: 404 },
  full: { status: 409, code: "scratchlist_at_cap" },
  "in-use": { status: 409, code: "scratchlist_attachment_in_use" },
  "file-type": { status: 400, code: "scratchlist_attachment_mime" },
  "file-too-large": { status: 413, code: "scratchlist_attachment_too_large" },
  "too-many-files": { status: 400, code: "scratchlist_attachments_per_entry" },
  "files-too-large": { status: 413, code: "scratchlist_attachment_too_large" },
  "session-files-too-large": { status: 413, code: "scratchlist_attachment_too_large" },
  "namespace-full": { status: 507 },
  "file-invalid": { status: 400, code: "scratchlist_attachment_invalid" },
};

const isScratchCode = (code: string): code is ScratchCode => Object.hasOwn(SAID, code);

/** A refusal as an answer; undefined for what was granted. An upload's says `success` too. */
function refused(result: ScratchResult, more: object = {}): Response | undefined {
  if (result.ok) return undefined;
  const { code, error } = result;
  if (!isScratchCode(code)) throw notGranted({ ok: false, code, error });
  const said = SAID[code];
  return Response.json({ ...more, error, code: said.code }, { status: said.status });
}

const BASE = "/api/sessions/:id/scratchlist";

export function scratchlistRoutes({ scratchlist }: Pick<HapiContext, "scratchlist">, { session }: Guards) {
  return new Hono<ApiEnv>()
    .get(BASE, async (c) => {
      const { entries } = granted(await scratchlist.list(keyOf(c)));
      return c.json({ entries: entries.map(noteView) });
    })
    .get(`${BASE}/limits`, session, (c) => c.json({ limits: SCRATCH_LIMITS }))
    .post(BASE, session, async (c) => {
      const note = await validNote(c, noteBody);
      if (note instanceof Response) return note;
      const added = await scratchlist.add(c.var.key, note);
      return added.ok
        ? c.json({ entry: noteView(added.entry) }, added.isNew ? 201 : 200)
        : (refused(added) as Response);
    })
    .post(`${BASE}/upload`, session, async (c) => {
      const { filename, content, mimeType } = await validBody(c, uploadBody);
      const problem = fileProblem(mimeType, content);
      if (problem !== undefined) return refused(problem, FAILED) as Response;
      const bytes = Buffer.from(content, "base64");
      const stored = await scratchlist.upload(c.var.key, { filename, mimeType, bytes });
      return stored.ok
        ? c.json({ success: true, attachment: stored.file })
        : (refused(stored, FAILED) as Response);
    })
    .get(`${BASE}/attachments/:fileId`, session, async (c) => {
      const read = await scratchlist.read(c.var.key, c.req.param("fileId"));
      if (!read.ok) return refused(read) as Response;
      const { mimeType, filename } = read.file;
      return new Response(read.bytes, {
        headers: {
          "content-type": mimeType,
          "content-disposition": inline(filename),
          "x-content-type-options": "nosniff",
        },
      });
    })
    .delete(`${BASE}/attachments/:fileId`, session, async (c) =>
      done(await scratchlist.removeUpload(c.var.key, c.req.param("fileId"))),
    )
    .put(`${BASE}/:entryId`, session, async (c) => {
      const change = await validNote(c, changeBody);
      if (change instanceof Response) return change;
      const changed = await scratchlist.change(c.var.key, c.req.param("entryId"), change);
      return changed.ok ? c.json({ entry: noteView(changed.entry) }) : (refused(changed) as Response);
    })
    .delete(`${BASE}/:entryId`, session, async (c) =>
      done(await scratchlist.delete(c.var.key, c.req.param("entryId"))),
    );
}

const FAILED = { success: false };

const done = (result: ScratchResult): Response => refused(result) ?? Response.json({ ok: true });

export const noteView = ({ entryId, text, createdAt, updatedAt, attachments }: ScratchEntry) => ({
  entryId,
  text,
  createdAt,
  updatedAt,
  attachments,
});

/** Its `issues` are a list here, unlike everywhere else. */
async function validNote<S extends z.ZodType, E extends OpenEnv>(
  c: Context<E>,
  schema: S,
): Promise<z.output<S> | Response> {
  const parsed = schema.safeParse(await bodyOf(c));
  return parsed.success
    ? parsed.data
    : Response.json({ error: "Invalid body", issues: parsed.error.issues }, { status: 400 });
}

const TYPES: ReadonlySet<string> = new Set(SCRATCH_LIMITS.allowedMimeTypes);

function fileProblem(mimeType: string, content: string) {
  if (!TYPES.has(mimeType)) return { ok: false, code: "file-type", error: "Mime type not allowed" } as const;
  if (decodedBytes(content) > SCRATCH_LIMITS.maxBytesPerFile)
    return { ok: false, code: "file-too-large", error: "File too large" } as const;
  return undefined;
}

/** Names are clean: no quote and no line end. Characters beyond ASCII as RFC 6266 says. */
export function inline(filename: string, kind: "inline" | "attachment" = "inline"): string {
  const ascii = filename.replaceAll(/[^\x20-\x7e]|["\\]/g, "_");
  const full = ascii === filename ? "" : `; filename*=UTF-8''${encodeURIComponent(filename)}`;
  return `${kind}; filename="${ascii}"${full}`;
}
