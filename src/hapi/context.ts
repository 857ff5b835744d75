// What every endpoint and socket event of the HAPI protocol may use. Built once by index.ts.
import type { Logger } from "pino";
import type { Limits } from "../limits/limits.ts";
import type { AccessToken } from "./auth/access-token.ts";
import type { WebTokens } from "./auth/web-tokens.ts";
import type { WrongTokens } from "./auth/wrong-tokens.ts";
import type { Home } from "./home/home.ts";
import type { InEffect } from "./in-effect.ts";
import type { HapiConfig } from "./settings.ts";
import type { HapiStore } from "./store/contract.ts";

export interface HapiContext extends Limits {
  readonly config: HapiConfig;
  readonly home: Home;
  /** What was given here and what the home says, together. */
  readonly inEffect: InEffect;
  readonly store: HapiStore;
  readonly access: AccessToken;
  readonly webTokens: WebTokens;
  readonly wrongTokens: WrongTokens;
  readonly telegramBotToken: string | undefined;
  readonly log: Logger;
}
