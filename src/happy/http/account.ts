// The caller's own account over HTTP (HTTP contract 5.1 to 5.3, and the additive GET and PUT of 17).
import { z } from "zod";
import { versioned } from "../../storage/versioned.ts";
import { userScoped } from "../audience.ts";
import type { HappyContext } from "../context.ts";
import type { AccountChange } from "../store/account-settings.ts";
import { updatedAccount } from "../wire/account.ts";
import { profileBody } from "../wire/profile.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";
import { jsonLarge } from "./kit/large.ts";

/** Names are shown to other accounts, so unlike the encrypted parts they have a limit of their own. */
const MAX_NAME = 200;

const profile = endpoint(
  { method: "GET", path: "/v1/account/profile", auth: "bearer" },
  async ({ context, account }) =>
    json(profileBody(context.config, await context.store.loadProfile(account), Date.now())),
);

const whole = endpoint(
  { method: "GET", path: "/v1/account", auth: "bearer" },
  async ({ context, account }) => {
    const { profile, settings } = await context.store.loadAccount(account);
    return jsonLarge(context, { ...profileBody(context.config, profile, Date.now()), ...settings });
  },
);

const readSettings = endpoint(
  {
    method: "GET",
    path: "/v1/account/settings",
    auth: "bearer",
    failure: { error: "Failed to get account settings" },
  },
  async ({ context, account }) => jsonLarge(context, await context.store.loadSettings(account)),
);

const version = z.int().min(0);

const writeSettings = endpoint(
  {
    method: "POST",
    path: "/v1/account/settings",
    auth: "bearer",
    body: z.object({ settings: z.string().nullable(), expectedVersion: version }),
    failure: { success: false, error: "Failed to update account settings" },
  },
  ({ context, account, body: { settings: value, expectedVersion } }) =>
    change(context, account, { settings: { value, expectedVersion } }),
);

const name = z.string().max(MAX_NAME).nullable().optional();

const writeAccount = endpoint(
  {
    method: "PUT",
    path: "/v1/account",
    auth: "bearer",
    body: z
      .object({
        settings: z.string().nullable().optional(),
        expectedVersion: version.optional(),
        firstName: name,
        lastName: name,
      })
      .superRefine(({ settings, expectedVersion, firstName, lastName }, context) => {
        // Names may come alone; without them this is 5.3, which needs both of its keys.
        const onlyNames = settings === undefined && expectedVersion === undefined;
        if (onlyNames && (firstName !== undefined || lastName !== undefined)) return;
        const missing = (key: string, type: string) =>
          context.addIssue({
            code: "custom",
            path: [key],
            message: `Invalid input: expected ${type}, received undefined`,
          });
        if (settings === undefined) missing("settings", "string");
        if (expectedVersion === undefined) missing("expectedVersion", "number");
      }),
    failure: { success: false, error: "Failed to update account settings" },
  },
  ({ context, account, body: { settings: value, expectedVersion, firstName, lastName } }) => {
    const settings = versioned(value, expectedVersion);
    return change(context, account, { settings, firstName, lastName });
  },
);

/** Stores, announces with one `update-account`, and answers as 5.3 does. */
async function change(context: HappyContext, account: string, wanted: AccountChange): Promise<Response> {
  const { settings, firstName, lastName } = wanted;
  const version = settings && settings.expectedVersion + 1;
  const result = await context.store.changeAccount(account, wanted, (outcome) => {
    if (outcome.kind !== "changed") return;
    const parts = {
      ...(settings && version !== undefined && { settings: { value: settings.value, version } }),
      ...(firstName !== undefined && { firstName }),
      ...(lastName !== undefined && { lastName }),
    };
    context.publisher.update(userScoped(account), outcome.updateSeq, updatedAccount(account, parts));
  });
  if (result.kind === "changed") return json({ success: true, version });
  const { settings: current, settingsVersion } = await context.store.loadSettings(account);
  return jsonLarge(context, {
    success: false,
    error: "version-mismatch",
    currentVersion: settingsVersion,
    currentSettings: current,
  });
}

export const accountEndpoints: readonly Endpoint[] = [
  profile,
  whole,
  readSettings,
  writeSettings,
  writeAccount,
];
