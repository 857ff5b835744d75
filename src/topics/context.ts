// What every endpoint and socket event of the topics protocol may use. Built once by index.ts.
import type { Logger } from "pino";
import type { FixedWindow } from "../limits/fixed-window.ts";
import type { Limits } from "../limits/limits.ts";
import type { GuardedTopic } from "./declared.ts";
import type { TopicsConfig } from "./settings.ts";
import type { TopicsStore } from "./store/index.ts";
import type { LoginTokens } from "./tokens.ts";
import type { Topic } from "./topic.ts";

export interface TopicsContext extends Limits {
  readonly config: TopicsConfig;
  readonly store: TopicsStore;
  readonly tokens: LoginTokens;
  /** Every topic by name. */
  readonly topics: ReadonlyMap<string, Topic>;
  /** Those that the operator declared. */
  readonly documents: readonly GuardedTopic[];
  /** Failed logins by network; undefined where the configuration sets no such limits. */
  readonly failedLogins: FixedWindow | undefined;
  readonly log: Logger;
}
