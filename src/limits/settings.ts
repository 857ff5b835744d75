// Settings of everything that one stranger, one address or one account may take from the others, of all protocols together. What each
// bound counts, its metric and its sentence in the log stand in bounds.ts; bounds of one protocol stand with its settings.
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, whole } from "../config/values.ts";

const MIB = 1024 * 1024;
const live = { live: true } as const;

export const limitsSettings = {
  maxBodyBytes: setting(
    whole(1, 2 ** 30).default(100 * MIB),
    "largest HTTP request body of an authenticated request, in bytes",
    live,
  ),
  maxAnonymousBodyBytes: setting(
    whole(1024, MIB).default(16 * 1024),
    "largest HTTP request body that is read before its sender is known, in bytes",
    live,
  ),
  maxAnonymousBytesPerSecond: setting(
    whole(0, 2 ** 40).default(MIB),
    "bytes that one address (IPv6: one /64) may send each second without a token, 32 times as many at once (0 for no limit)",
    live,
  ),
  maxAnonymousWorkPerSecond: setting(
    whole(0, 1_000_000).default(250),
    "milliseconds of work that one address (IPv6: one /64) may cost each second without a token, 32 times as many at once (0 for no limit)",
    live,
  ),
  maxBodyBytesInFlight: setting(
    whole(MIB, 2 ** 36).default(128 * MIB),
    "bytes of request bodies held in memory at one time, of all clients together",
    live,
  ),
  maxQueuedBytes: setting(
    whole(64 * 1024, 2 ** 30).default(16 * MIB),
    "bytes that may wait for one slow socket before it is closed",
  ),
  maxMemoryBytesInFlight: setting(
    whole(8 * MIB, 2 ** 36).default(192 * MIB),
    "bytes of request bodies, answers and socket queues held in memory at one time, of all clients together",
    live,
  ),
  maxMetadataBytes: setting(
    whole(1024, 2 ** 30).default(MIB),
    "largest metadata of a session or machine, and largest key, token or other small value, in bytes",
    live,
  ),
  maxStateBytes: setting(
    whole(1024, 2 ** 30).default(8 * MIB),
    "largest agent state, daemon state, part of an artifact, key-value entry or account settings, in bytes",
    live,
  ),
  maxContentBytes: setting(
    whole(1024, 2 ** 30).default(32 * MIB),
    "largest content of one message, in bytes",
    live,
  ),
  maxConnectionsPerAddress: setting(
    whole(0, 1_000_000).default(256),
    "connections that one address (IPv6: one /64) may hold before it is known to belong to an account (0 for no limit)",
    live,
  ),
  maxHandshakes: setting(
    whole(1, 1_000_000).default(1_000),
    "sockets that are not let in yet, of all addresses together; the oldest goes first",
    live,
  ),
  maxHandshakesPerAddress: setting(
    whole(1, 1_000_000).default(20),
    "sockets that are not let in yet, of one address (IPv6: one /64) from which no account has come",
    live,
  ),
  maxAccountBytes: setting(
    whole(0, 2 ** 50).default(64 * 1024 * MIB),
    "bytes that one account may store (0 for no limit)",
    live,
  ),
  maxAccountMessagesPerSecond: setting(
    whole(0, 1_000_000).default(50_000),
    "messages that one account may send in a second, ten times as many at once (0 for no limit)",
    live,
  ),
  maxAccountSockets: setting(
    whole(0, 1_000_000).default(4_000),
    "sockets that one account may hold (0 for no limit)",
    live,
  ),
  maxAccountTokens: setting(
    whole(0, 1_000_000).default(10_000),
    "tokens of one account that the server remembers as in use (0 for no limit)",
    live,
  ),
  rateLimits: setting(flag().default(true), "limit how often one address may sign in, pair and upload", {
    live: true,
  }),
  maxAccountMachines: setting(
    whole(0, 1_000_000).default(1_000),
    "machines that one account may register (0 for no limit)",
    live,
  ),
  maxAccountAccessKeys: setting(
    whole(0, 10_000_000).default(100_000),
    "access keys that one account may keep (0 for no limit)",
    live,
  ),
  maxAccountPushTokens: setting(
    whole(0, 1_000_000).default(1_000),
    "phones of one account that get push notifications (0 for no limit)",
    live,
  ),
  maxAccountPushes: setting(
    whole(0, 1_000_000).default(100),
    "push notifications of one account that may be under way at one time (0 for no limit)",
    live,
  ),
} as const satisfies Record<string, Setting>;

export type LimitsConfig = Values<typeof limitsSettings>;
