// Settings of the topics protocol alone. `legacy` names the original server's variables.
import { z } from "zod";
import { duration } from "../config/duration.ts";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, list, structure, text, whole } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { declaredTopic } from "./declared-topic.ts";

export const topicsSettings = {
  topicsEnabled: setting(
    flag().optional(),
    "serve durable topics under /api/v1 and /socket.io/ (on by itself when a topic, the JWT secret or the first user is configured)",
  ),
  topics: setting(
    structure(z.array(declaredTopic).default([])),
    'JSON list of further topics of documents, such as [{"name":"nodes","schema":{"type":"object"}}]',
  ),
  topicsJwtSecret: setting(
    text().optional(),
    "secret that signs the logins of the topics API; derived from the master secret when absent",
    { was: ["jwtSecret"], legacy: ["JWT_SECRET"], secret: true },
  ),
  topicsJwtExpireMinutes: setting(
    whole(1, 10_000_000).default(1440),
    "minutes a login of the topics API is valid",
    { was: ["jwtExpireMinutes"], legacy: ["JWT_EXPIRE_MINUTES"] },
  ),
  topicsJwtIssuer: setting(text().default("go_cmdb"), "issuer named in the logins of the topics API", {
    was: ["jwtIssuer"],
    legacy: ["JWT_ISSUER"],
  }),
  topicsAdminUsername: setting(
    text().max(64).optional(),
    "first user of the topics API, made when there is none",
    { was: ["adminUsername"], legacy: ["ADMIN_USERNAME"] },
  ),
  topicsAdminPassword: setting(text().optional(), "password of the first user of the topics API", {
    was: ["adminPassword"],
    legacy: ["ADMIN_PASSWORD"],
    secret: true,
  }),
  topicsRealtimeEnabled: setting(flag().default(true), "feed topics to sockets at /socket.io/", {
    was: ["realtimeEnabled"],
  }),
  topicsLogEvents: setting(flag().default(true), "keep the event log of topics also while realtime is off", {
    was: ["realtimeLogEvents"],
  }),
  topicsRequireHttpToken: setting(
    flag().default(false),
    "refuse topic sockets whose HTTP requests carry no token, in the query or the Authorization header",
    { was: ["realtimeRequireHttpToken"] },
  ),
  topicsAllowedOrigins: setting(
    list().default(["*"]),
    "origins of web pages that may use the topics API and its sockets, comma-separated",
    { was: ["realtimeAllowedOrigins"] },
  ),
  topicsConnectTimeoutMs: setting(
    whole(100, 600_000).default(10_000),
    "milliseconds a topic socket may stay open without a valid CONNECT",
    { was: ["realtimeConnectTimeoutMs"] },
  ),
  topicsDisconnectOnExpiry: setting(
    flag().default(true),
    "disconnect a topic socket when its login expires",
    { was: ["realtimeDisconnectOnExpiry"] },
  ),
  topicsPollMs: setting(
    whole(100, 600_000).default(5_000),
    "milliseconds until events that could not be announced are tried again",
    { was: ["realtimePollMs"] },
  ),
  topicsRetentionInterval: setting(
    duration(1_000).prefault("1h"),
    "time between clean-ups of the event log of topics",
    { was: ["realtimeRetentionInterval"] },
  ),
  topicsRetentionDays: setting(
    z.coerce.number().min(0).default(7),
    "days the event log of topics goes back (0 keeps events however old)",
    { was: ["realtimeRetentionDays"], live: true },
  ),
  topicsRetentionMaxRows: setting(
    whole(0, 2 ** 40).default(1_000_000),
    "events the event log of topics holds at most (0 for no limit)",
    { was: ["realtimeRetentionMaxRows"], live: true },
  ),
} as const satisfies Record<string, Setting>;

export type TopicsConfig = HouseConfig & Values<typeof topicsSettings>;
