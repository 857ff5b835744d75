// Encrypted image blobs of sessions (HTTP contract 7). No rows: the storage path is the identity, `ref` on the wire.
import { z } from "zod";
import { clientUrl } from "../../http/client-url.ts";
import { FixedWindow } from "../../limits/fixed-window.ts";
import { identifier } from "../../limits/identifier.ts";
import { BodyTooLarge, SILENCE_SECONDS, streamBody } from "../../server/body.ts";
import type { HappyContext } from "../context.ts";
import { bodyKind, bodyProblem, parseBody } from "./kit/body.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

const MAX_BYTES = 10 * 1024 * 1024;
/** Requests to upload, each account (HTTP contract 7.1). */
export const uploadRequestWindow = () => new FixedWindow(60, 60_000);
const TOO_LARGE = "File too large (max 10MB)";

const refOf = (sessionId: string, file: string) => `sessions/${sessionId}/attachments/${file}`;
const pathOf = (sessionId: string, file: string) =>
  `/v1/sessions/${encodeURIComponent(sessionId)}/attachments/${encodeURIComponent(file)}`;

const owns = (context: HappyContext, account: string, sessionId: string): Promise<boolean> =>
  context.store.ownsSession(account, sessionId);

/** The contract refuses `..` and `/`; an empty name and a lone dot mean no file either. */
const isFile = (name: string) => name !== "" && name !== "." && !name.includes("..") && !name.includes("/");

const sessionParams = z.object({ sessionId: z.string() });
const fileParams = z.object({ sessionId: z.string(), attachmentFile: z.string() });

const requestUpload = endpoint(
  {
    method: "POST",
    path: "/v1/sessions/:sessionId/attachments/request-upload",
    auth: "bearer",
    params: sessionParams,
    limit: "upload",
    body: z.object({ filename: z.string(), size: z.number() }),
  },
  async ({ context, account, params: { sessionId }, body: { size }, request, mount, facts }) => {
    const waitMs = context.config.rateLimits ? context.uploadRequests.exceeded(account) : undefined;
    if (waitMs !== undefined) {
      const answer = refusal(429, "Too many upload requests. Try again in a minute.");
      answer.headers.set("retry-after", String(Math.ceil(waitMs / 1_000)));
      return answer;
    }
    if (!(await owns(context, account, sessionId))) return refusal(404, "Session not found");
    if (size > MAX_BYTES) return refusal(413, TOO_LARGE);
    // Said now, before the client sends anything. A bucket has a maximum of its own.
    if (context.blobs.direct === undefined) {
      await context.store.admitUpload(account, Math.max(0, size));
    }
    const file = `${crypto.randomUUID()}.enc`;
    const ref = refOf(sessionId, file);
    if (context.blobs.direct !== undefined) {
      const { url, fields } = context.blobs.direct.uploadForm(ref, MAX_BYTES);
      return json({ ref, uploadUrl: url, method: "POST", formFields: fields });
    }
    const uploadUrl = `${clientUrl(request, facts, context.config)}${mount}${pathOf(sessionId, file)}`;
    return json({ ref, uploadUrl, method: "PUT" });
  },
);

const upload = endpoint(
  {
    method: "PUT",
    path: "/v1/sessions/:sessionId/attachments/:attachmentFile",
    auth: "bearer",
    params: fileParams,
    streams: true,
    limit: "upload",
    bareErrors: [413],
  },
  async ({ context, account, params: { sessionId, attachmentFile }, request, facts, share }) => {
    if (!(await owns(context, account, sessionId))) return refusal(404, "Session not found");
    if (!isFile(attachmentFile)) return refusal(404, "Invalid attachment file");
    if (context.blobs.direct !== undefined) return refusal(404, "Direct upload not available in S3 mode");
    const kind = bodyKind(request);
    if (kind === "none" || kind === "application/json") {
      await parseBody(request, { limitBytes: context.config.maxBodyBytes, share });
      return notBytes();
    }
    const length = request.headers.get("content-length");
    if (Number(length) > MAX_BYTES) return refusal(413, TOO_LARGE);
    const ref = refOf(sessionId, attachmentFile);
    try {
      const roomBytes = length === null ? MAX_BYTES : Number(length);
      await context.store.admitAttachment(account, roomBytes);
      const before = await context.blobs.find(ref);
      const arrived = () => facts.extendIdle(SILENCE_SECONDS);
      await context.blobs.put(ref, streamBody(request, MAX_BYTES, arrived), roomBytes);
      const stored = await context.blobs.find(ref);
      // What it replaced takes nothing back: two at once could do so twice. The sweep counts anew.
      const grown = Math.max(0, (stored?.size ?? 0) - (before?.size ?? 0));
      await context.store.countAttachments(account, sessionId, before === undefined ? 1 : 0, grown);
    } catch (error) {
      if (error instanceof BodyTooLarge) return refusal(413, TOO_LARGE);
      // Its folder went away with it.
      if (!(await owns(context, account, sessionId))) return refusal(404, "Session not found");
      throw bodyProblem(error);
    }
    if (!(await owns(context, account, sessionId))) {
      // Deleted meanwhile: what was just stored belongs to nobody.
      await removeAttachments(context, sessionId);
      return refusal(404, "Session not found");
    }
    return json({ ok: true });
  },
);

/** What the original answers to a body that is not bytes. */
function notBytes(): Response {
  const message = "An unexpected error occurred";
  return json({ error: "Internal Server Error", message, statusCode: 500 }, 500);
}

const requestDownload = endpoint(
  {
    method: "POST",
    path: "/v1/sessions/:sessionId/attachments/request-download",
    auth: "bearer",
    params: sessionParams,
    body: z.object({ ref: identifier }),
    bareErrors: [400],
  },
  async ({ context, account, params: { sessionId }, body: { ref }, request, mount, facts }) => {
    if (!(await owns(context, account, sessionId))) return refusal(404, "Session not found");
    const prefix = refOf(sessionId, "");
    if (!ref.startsWith(prefix)) return refusal(400, "Ref does not belong to this session");
    const file = ref.slice(prefix.length);
    if (!isFile(file)) return refusal(400, "Invalid attachment ref");
    const downloadUrl =
      context.blobs.direct?.downloadUrl(ref) ??
      `${clientUrl(request, facts, context.config)}${mount}${pathOf(sessionId, file)}`;
    return json({ downloadUrl });
  },
);

const download = endpoint(
  {
    method: "GET",
    path: "/v1/sessions/:sessionId/attachments/:attachmentFile",
    auth: "bearer",
    params: fileParams,
  },
  async ({ context, account, params: { sessionId, attachmentFile } }) => {
    if (!(await owns(context, account, sessionId))) return refusal(404, "Session not found");
    if (!isFile(attachmentFile)) return refusal(404, "Invalid attachment file");
    const ref = refOf(sessionId, attachmentFile);
    if (context.blobs.direct !== undefined) {
      return new Response(null, {
        status: 302,
        headers: { location: context.blobs.direct.downloadUrl(ref) },
      });
    }
    const blob = await context.blobs.find(ref);
    if (blob === undefined) return refusal(404, "Attachment not found");
    return new Response(blob.bytes, {
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(blob.size),
        // Else Bun names the file on disk.
        "content-disposition": "attachment",
      },
    });
  },
);

/** After a session was deleted. A failure leaves blobs that nobody can reach, and is told to the log only. */
export async function removeAttachments({ blobs, log }: HappyContext, sessionId: string): Promise<void> {
  try {
    await blobs.removeFolder(`sessions/${sessionId}`);
  } catch (error) {
    log.warn({ err: error, session: sessionId }, "the attachments of a deleted session could not be removed");
  }
}

export const attachmentEndpoints: readonly Endpoint[] = [requestUpload, upload, requestDownload, download];
