// What every endpoint and socket event of the HAPI protocol may use. Built once by index.ts.
import type { Logger } from "pino";
import type { Limits } from "../limits/limits.ts";
import type { MessagePace } from "../limits/message-pace.ts";
import type { AccessToken } from "./auth/access-token.ts";
import type { WebTokens } from "./auth/web-tokens.ts";
import type { WrongTokens } from "./auth/wrong-tokens.ts";
import type { Broadcaster } from "./events/broadcaster.ts";
import type { Home } from "./home/home.ts";
import type { HubSettings } from "./home/hub-settings.ts";
import type { Hub } from "./hub/hub.ts";
import type { Scratchlist } from "./hub/scratchlist.ts";
import type { InEffect } from "./in-effect.ts";
import type { CliRooms } from "./realtime/rooms.ts";
import type { Rpc } from "./rpc/rpc.ts";
import type { HapiConfig } from "./settings.ts";
import type { HapiStore } from "./store/contract.ts";
import type { Terminals } from "./terminal/terminals.ts";

export interface HapiContext extends Limits {
  readonly config: HapiConfig;
  readonly home: Home;
  /** What was given here and what the home says, together. */
  readonly inEffect: InEffect;
  readonly hubSettings: HubSettings;
  readonly store: HapiStore;
  readonly hub: Hub;
  readonly scratchlist: Scratchlist;
  readonly events: Broadcaster;
  readonly rooms: CliRooms;
  readonly rpc: Rpc;
  readonly terminals: Terminals;
  readonly access: AccessToken;
  readonly webTokens: WebTokens;
  readonly wrongTokens: WrongTokens;
  /** Of a namespace, over sockets and HTTP together. */
  readonly pace: MessagePace;
  readonly log: Logger;
}
