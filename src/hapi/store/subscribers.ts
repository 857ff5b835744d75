// Who is told when the app is not looked at: Telegram users bound to a namespace, Web Push endpoints, phones.
import type { Database } from "../../storage/database.ts";
import type { Binding, DeviceRow, PushSubscriptionRow } from "./rows.ts";
import { statement } from "./statement.ts";

const BINDING = `SELECT platform, platform_user_id AS platformUserId, namespace, created_at AS createdAt FROM users`;
const bindingOf = statement<Binding>(
  `${BINDING} WHERE platform = $platform AND platform_user_id = $platformUserId`,
);
const bindings = statement<Binding>(
  `${BINDING} WHERE platform = $platform AND namespace = $namespace ORDER BY id`,
);
const bind = statement(
  "INSERT INTO users (platform, platform_user_id, namespace, created_at) VALUES ($platform, $platformUserId, $namespace, $now)",
);
const unbind = statement(
  "DELETE FROM users WHERE platform = $platform AND platform_user_id = $platformUserId",
);

/** A user stays with the namespace that was first. */
export function bindUser(
  { writer, quota }: Database,
  { platform, platformUserId, namespace }: Omit<Binding, "createdAt">,
): Promise<"bound" | "already-bound"> {
  return writer.run((db) => {
    const known = bindingOf(db).get({ platform, platformUserId });
    if (known !== null) return known.namespace === namespace ? "bound" : "already-bound";
    quota.admit("thing");
    bind(db).run({ platform, platformUserId, namespace, now: Date.now() });
    return "bound";
  });
}

export async function findBinding(
  { reads }: Database,
  platform: string,
  platformUserId: string,
): Promise<Binding | undefined> {
  return bindingOf(reads).get({ platform, platformUserId }) ?? undefined;
}

export async function listBindings(
  { reads }: Database,
  platform: string,
  namespace: string,
): Promise<Binding[]> {
  return bindings(reads).all({ platform, namespace });
}

export function unbindUser({ writer }: Database, platform: string, platformUserId: string): Promise<boolean> {
  return writer.run((db) => unbind(db).run({ platform, platformUserId }).changes > 0);
}

const putEndpoint = statement(
  `INSERT INTO push_subscriptions (namespace, endpoint, p256dh, auth, created_at) VALUES ($namespace, $endpoint, $p256dh, $auth, $now)
   ON CONFLICT (namespace, endpoint) DO UPDATE SET p256dh = $p256dh, auth = $auth, created_at = $now`,
);
const trimEndpoints = statement(
  `DELETE FROM push_subscriptions WHERE id IN (SELECT id FROM push_subscriptions WHERE namespace = $namespace
     ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET $max)`,
);
const removeEndpoint = statement(
  "DELETE FROM push_subscriptions WHERE namespace = $namespace AND endpoint = $endpoint",
);
const endpoints = statement<PushSubscriptionRow>(
  `SELECT id, namespace, endpoint, p256dh, auth, created_at AS createdAt FROM push_subscriptions
   WHERE namespace = $namespace ORDER BY id`,
);

export function putSubscription(
  { writer, quota }: Database,
  { namespace, endpoint, p256dh, auth }: Omit<PushSubscriptionRow, "id" | "createdAt">,
  max: number,
): Promise<void> {
  return writer.run((db) => {
    quota.admit("thing");
    putEndpoint(db).run({ namespace, endpoint, p256dh, auth, now: Date.now() });
    trimEndpoints(db).run({ namespace, max });
  });
}

export function deleteSubscription(
  { writer }: Database,
  namespace: string,
  endpoint: string,
): Promise<boolean> {
  return writer.run((db) => removeEndpoint(db).run({ namespace, endpoint }).changes > 0);
}

export async function listSubscriptions(
  { reads }: Database,
  namespace: string,
): Promise<PushSubscriptionRow[]> {
  return endpoints(reads).all({ namespace });
}

const forgetToken = statement(
  `DELETE FROM fcm_devices WHERE token = $token AND platform = $platform
     AND NOT (namespace = $namespace AND device_id = $deviceId)`,
);
const putPhone = statement(
  `INSERT INTO fcm_devices (namespace, token, platform, device_id, push_key, created_at, updated_at)
   VALUES ($namespace, $token, $platform, $deviceId, $pushKey, $now, $now)
   ON CONFLICT (namespace, device_id, platform) DO UPDATE SET token = $token, push_key = $pushKey, updated_at = $now`,
);
const trimPhones = statement(
  `DELETE FROM fcm_devices WHERE id IN (SELECT id FROM fcm_devices WHERE namespace = $namespace
     ORDER BY updated_at DESC, id DESC LIMIT -1 OFFSET $max)`,
);
const removePhone = statement(
  "DELETE FROM fcm_devices WHERE namespace = $namespace AND device_id = $deviceId",
);
const removeToken = statement("DELETE FROM fcm_devices WHERE namespace = $namespace AND token = $token");
const phones = statement<DeviceRow>(
  `SELECT id, namespace, token, platform, device_id AS deviceId, push_key AS pushKey, created_at AS createdAt,
     updated_at AS updatedAt FROM fcm_devices WHERE namespace = $namespace ORDER BY id`,
);

export function putDevice(
  { writer, quota }: Database,
  device: Omit<DeviceRow, "id" | "createdAt" | "updatedAt">,
  max: number,
): Promise<void> {
  const { namespace, token, platform, deviceId, pushKey } = device;
  return writer.run((db) => {
    quota.admit("thing");
    forgetToken(db).run({ token, platform, namespace, deviceId });
    putPhone(db).run({ namespace, token, platform, deviceId, pushKey, now: Date.now() });
    trimPhones(db).run({ namespace, max });
  });
}

export function deleteDevice(
  { writer }: Database,
  namespace: string,
  { deviceId, token }: { readonly deviceId?: string; readonly token?: string },
): Promise<number> {
  return writer.run(
    (db) =>
      (deviceId === undefined ? 0 : removePhone(db).run({ namespace, deviceId }).changes) +
      (token === undefined ? 0 : removeToken(db).run({ namespace, token }).changes),
  );
}

export async function listDevices({ reads }: Database, namespace: string): Promise<DeviceRow[]> {
  return phones(reads).all({ namespace });
}
