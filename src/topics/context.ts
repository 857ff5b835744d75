// What every endpoint and socket event of the topics protocol may use. Built once by index.ts.
import type { Logger } from "pino";
import type { FixedWindow } from "../limits/fixed-window.ts";
import type { Limits } from "../limits/limits.ts";
import type { Database } from "../storage/database.ts";
import type { DocumentTopic } from "./declared.ts";
import type { TopicsConfig } from "./settings.ts";
import type { EventLog } from "./store/events.ts";
import type { LoginTokens } from "./tokens.ts";
import type { Topic } from "./topic.ts";

export interface TopicsContext extends Limits {
  readonly config: TopicsConfig;
  readonly database: Database;
  readonly tokens: LoginTokens;
  /** Every topic by name. */
  readonly topics: ReadonlyMap<string, Topic>;
  /** Those that the operator declared. */
  readonly documents: readonly DocumentTopic[];
  readonly events: EventLog;
  /** Failed logins by network; undefined where the configuration sets no such limits. */
  readonly failedLogins: FixedWindow | undefined;
  readonly log: Logger;
}
