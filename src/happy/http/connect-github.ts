// Connecting a GitHub account: start, callback, webhook, disconnect (HTTP contract 13.1 to 13.4).
import { z } from "zod";
import { authorizeUrl } from "../github/github-api.ts";
import { announceDisconnect, finishSignIn } from "../github/sign-in.ts";
import { isSigned, webhookSecret } from "../github/webhook.ts";
import { bodyProblem, parseSmall, readWhole } from "./kit/body.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { validate } from "./kit/validate.ts";

const STATE_SECONDS = 5 * 60;
/** GitHub sends at most 25 MB, but nobody here has proved to be GitHub yet. */
const MAX_WEBHOOK_BYTES = 1024 * 1024;

const params = endpoint(
  { method: "GET", path: "/v1/connect/github/params", auth: "bearer", bareErrors: [500] },
  async ({ context, account }) => {
    const { happyGithubClientId: githubClientId, happyGithubRedirectUrl: githubRedirectUrl } = context.config;
    if (githubClientId === undefined || githubRedirectUrl === undefined) {
      return refusal(400, "GitHub OAuth not configured");
    }
    const state = await context.keys.githubState().issue({ account, lifetime: STATE_SECONDS });
    return json({ url: authorizeUrl(context.config, githubClientId, githubRedirectUrl, state) });
  },
);

const callback = endpoint(
  {
    method: "GET",
    path: "/v1/connect/github/callback",
    auth: "none",
    query: z.object({ code: z.string(), state: z.string() }),
  },
  async ({ context, query: { code, state } }) => {
    const outcome = await finishSignIn(context, code, state);
    const { happyWebAppUrl: webAppUrl } = context.config;
    const query = Object.entries(outcome).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
    const location = `${webAppUrl}${webAppUrl.includes("?") ? "&" : "?"}${query.join("&")}`;
    return new Response(null, { status: 302, headers: { location } });
  },
);

const webhookHeaders = z.object({
  "x-hub-signature-256": z.string(),
  "x-github-event": z.string(),
  "x-github-delivery": z.string().optional(),
});

/** Reads its body itself: the signature covers the bytes as they came. */
const webhook = endpoint(
  { method: "POST", path: "/v1/connect/github/webhook", auth: "none", streams: true },
  async ({ context, request, facts, share }) => {
    const secret = webhookSecret(context.config);
    const limit = secret === undefined ? context.config.maxAnonymousBodyBytes : MAX_WEBHOOK_BYTES;
    const raw = await context.strangers
      .patiently(facts.clientAddress, readWhole(request, { limitBytes: limit, share }))
      .catch((error: unknown) => {
        throw bodyProblem(error);
      });
    parseSmall(request, raw);
    const headers = validate("headers", webhookHeaders, Object.fromEntries(request.headers)) as z.output<
      typeof webhookHeaders
    >;
    const body = raw?.bytes ?? new Uint8Array();
    if (body.length === 0) return refusal(500, "Server configuration error");
    if (secret === undefined) return refusal(500, "Webhooks not configured");
    const event = headers["x-github-event"];
    const delivery = headers["x-github-delivery"];
    context.strangers.charge(facts.clientAddress, { bytes: body.length });
    if (!isSigned(secret, body, headers["x-hub-signature-256"])) {
      context.log.warn({ event, delivery }, "a GitHub webhook has a bad signature");
      return refusal(500, "Internal server error");
    }
    context.log.info({ event, delivery }, "GitHub webhook");
    return json({ received: true });
  },
);

const disconnect = endpoint(
  {
    method: "DELETE",
    path: "/v1/connect/github",
    auth: "bearer",
    failure: { error: "Failed to disconnect GitHub account" },
  },
  async ({ context, account }) => {
    await context.store.disconnectGithub(account, (seq) => announceDisconnect(context, account, seq));
    return json({ success: true });
  },
);

export const connectGithubEndpoints: readonly Endpoint[] = [params, callback, webhook, disconnect];
