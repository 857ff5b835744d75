// What every endpoint and socket event of the Happy protocol may use. Built once by index.ts.
import type { Logger } from "pino";
import type { FixedWindow } from "../limits/fixed-window.ts";
import type { Limits } from "../limits/limits.ts";
import type { MessagePace } from "../limits/message-pace.ts";
import type { RefusalPace } from "../limits/refusal-pace.ts";
import type { ValueSizes } from "../limits/value-sizes.ts";
import type { RpcRelay } from "../relay/rpc-relay.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Pairings } from "./admission/pairings.ts";
import type { RateLimits } from "./admission/rate-limits.ts";
import type { Revocations } from "./admission/revocations.ts";
import type { TokenUsage } from "./admission/token-usage.ts";
import type { ServerKeys } from "./auth/server-keys.ts";
import type { Tokens } from "./auth/tokens.ts";
import type { HappyMetrics } from "./metrics.ts";
import type { Presence } from "./presence/presence.ts";
import type { Publisher } from "./publisher.ts";
import type { HappyPusher } from "./push/push-events.ts";
import type { HappyConfig } from "./settings.ts";
import type { HappyStore } from "./store/index.ts";

export interface HappyContext extends Limits {
  readonly config: HappyConfig;
  /** Everything that is kept, but for files. */
  readonly store: HappyStore;
  /** How large one stored value may be. */
  readonly sizes: ValueSizes;
  /** Attachments, and public files such as avatars. */
  readonly blobs: BlobStore;
  readonly keys: ServerKeys;
  /** Bearer tokens. */
  readonly tokens: Tokens;
  /** Which valid tokens are shut out all the same. */
  readonly revocations: Revocations;
  /** When they hear so. */
  readonly refusalPace: RefusalPace;
  readonly tokenUsage: TokenUsage;
  readonly pairings: Pairings;
  readonly rateLimits: RateLimits;
  /** How fast each account sends messages. */
  readonly messagePace: MessagePace;
  readonly publisher: Publisher;
  readonly presence: Presence;
  readonly rpc: RpcRelay;
  /** Push notifications to phones. */
  readonly pusher: HappyPusher;
  /** How often each account asks to upload. */
  readonly uploadRequests: FixedWindow;
  /** The page of the web app beside the API, when there is one to serve. */
  readonly webApp: { page(request: Request, facts: RequestFacts): Promise<Response> } | undefined;
  readonly metrics: HappyMetrics;
  readonly log: Logger;
}
