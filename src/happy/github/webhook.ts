// Whether a webhook really comes from GitHub: an HMAC over the bytes exactly as they came, compared in constant time.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { HappyConfig } from "../settings.ts";

type WebhookConfig = Pick<
  HappyConfig,
  | "happyGithubAppId"
  | "happyGithubPrivateKey"
  | "happyGithubClientId"
  | "happyGithubClientSecret"
  | "happyGithubRedirectUri"
  | "happyGithubWebhookSecret"
>;

/** The secret, when everything that the original wants for webhooks is set (HTTP contract 18). */
export function webhookSecret(config: WebhookConfig): string | undefined {
  const {
    happyGithubAppId: githubAppId,
    happyGithubPrivateKey: githubPrivateKey,
    happyGithubClientId: githubClientId,
    happyGithubClientSecret: githubClientSecret,
    happyGithubRedirectUri: githubRedirectUri,
  } = config;
  const others = [githubAppId, githubPrivateKey, githubClientId, githubClientSecret, githubRedirectUri];
  return others.includes(undefined) ? undefined : config.happyGithubWebhookSecret;
}

/** `signature` is header `x-hub-signature-256`: `sha256=` and lowercase hex. */
export function isSigned(secret: string, body: Uint8Array, signature: string): boolean {
  const expected = Buffer.from(`sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
