// What a Telegram Mini App says of who opened it, checked against the bot's token (HTTP contract, A4). Every reason is a literal that
// clients read.
import { createHash, createHmac } from "node:crypto";
import { z } from "zod";
import { isToken } from "../../auth/bearer.ts";

/** In seconds. A date in the future is accepted: clocks differ. */
const MAX_AGE = 86_400;

const userSchema = z.object({
  id: z.number(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
  username: z.string().optional(),
  language_code: z.string().optional(),
  is_bot: z.boolean().optional(),
});
export type TelegramUser = z.output<typeof userSchema>;

export type InitData = { readonly user: TelegramUser } | { readonly reason: string };

/** @param now Unix ms by the wall clock: Telegram's own date is compared with it. */
export function checkInitData(initData: string, botToken: string, now: number): InitData {
  const params = new URLSearchParams(initData);
  const hash = params.get("hash");
  if (hash === null || hash === "") return { reason: "Missing hash" };
  const date = params.get("auth_date") ?? "";
  if (!/^-?\d+$/.test(date) || !Number.isSafeInteger(Number(date)))
    return { reason: "Missing or invalid auth_date" };
  if (Math.floor(now / 1_000) - Number(date) > MAX_AGE) return { reason: "initData is too old" };
  if (!isSigned(params, hash, botToken)) return { reason: "Invalid initData signature" };
  return userOf(params.get("user"));
}

function isSigned(params: URLSearchParams, hash: string, botToken: string): boolean {
  const text = [...params]
    .filter(([key]) => key !== "hash")
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${key}=${value}`)
    .join("\n");
  // All three, whichever fits: the time says nothing of it.
  return keysOf(botToken)
    .map((key) => isToken(hash, createHmac("sha256", key).update(text).digest("hex")))
    .includes(true);
}

/** As different clients derive it. */
const keysOf = (botToken: string): Buffer[] => [
  createHmac("sha256", "WebAppData").update(botToken).digest(),
  createHmac("sha256", botToken).update("WebAppData").digest(),
  createHash("sha256").update(botToken).digest(),
];

function userOf(text: string | null): InitData {
  if (text === null || text === "") return { reason: "Missing user" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { reason: "Invalid user JSON" };
  }
  const { data } = userSchema.safeParse(value);
  return data === undefined ? { reason: "Invalid user schema" } : { user: data };
}
