// RevenueCat, as far as voice needs it: whether an account, known there by its account id, has an active entitlement.
import { z } from "zod";
import { callService, serviceUrl } from "../../http/service-call.ts";

export interface RevenueCat {
  readonly url: string;
  readonly apiKey: string;
}

/** The list holds expired entitlements too; one without an end lasts for ever. */
const subscriber = z.object({
  subscriber: z.object({
    entitlements: z
      .record(
        z.string(),
        z.object({
          expires_date: z.string().nullish(),
          grace_period_expires_date: z.string().nullish(),
        }),
      )
      .default({}),
  }),
});

/** False also when RevenueCat refuses to say. @throws ServiceError, or the error of the network. */
export async function hasEntitlement(
  { url, apiKey }: RevenueCat,
  account: string,
  now: number,
): Promise<boolean> {
  const answer = await callService(serviceUrl(url, `/v1/subscribers/${encodeURIComponent(account)}`), {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  if (!answer.ok) return false;
  const { entitlements } = answer.json(subscriber).subscriber;
  return Object.values(entitlements).some(
    ({ expires_date: end, grace_period_expires_date: grace }) =>
      end === null || end === undefined || Math.max(time(end), time(grace)) > now,
  );
}

/** 0 for what is absent or not a date. */
const time = (text: string | null | undefined): number => (text ? Date.parse(text) || 0 : 0);
