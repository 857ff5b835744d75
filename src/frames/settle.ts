// Whether the frames hub is on, and what it asks of its clients, from what people gave and under which names (frames contract,
// decisions "On or off" and "Tokens"). In Roost's words it asks for tokens; in the hub's own words it keeps the hub's defaults.
import type { Settle } from "../config/catalogue.ts";
import type { RawSettings } from "../config/raw.ts";
import { type FramesConfig, framesSettings } from "./settings.ts";

type Name = keyof typeof framesSettings;

/** These are limits and refinements of a hub that is on. */
const ROOSTS_OWN: readonly Name[] = [
  "framesEnabled",
  "framesOrigins",
  "framesMaxQueuedBytes",
  "framesMaxClientsPerAddress",
  "framesMaxConnectionsPerSecond",
  "framesMaxMessagesPerSecond",
];
/** Only a hub has these keys. `log...` and `cluster...` are everybody's: they switch nothing on. */
const HUBS_OWN = (Object.keys(framesSettings) as Name[]).filter((name) => !ROOSTS_OWN.includes(name));

/**
 * What the configuration says of the hub beyond its single values; nothing when it is off. A `false` always wins. Any `GOHUB_*`
 * variable counts, also of a setting that others share: nobody else has that prefix.
 */
export const settleHub: Settle = (parsed, raw) => {
  const config = parsed as FramesConfig;
  return [
    ...addressOf(config, raw),
    ...Object.entries(decided(config, raw)).map(([name, value]) => ({ name, value })),
  ];
};

/** `host` and `port` win where they are given. */
function addressOf({ framesServerAddr: serverAddr }: FramesConfig, raw: RawSettings) {
  if (serverAddr === undefined) return [];
  const source = raw.framesServerAddr?.source;
  return (["host", "port"] as const)
    .filter((name) => raw[name] === undefined)
    .map((name) => ({ name, value: serverAddr[name], ...(source !== undefined && { source }) }));
}

function decided(config: FramesConfig, raw: RawSettings): Partial<FramesConfig> {
  if (config.framesEnabled === false || config.framesHubEnabled === false) return {};
  const given = Object.entries(raw).flatMap(([name, value]) =>
    value !== undefined && (HUBS_OWN.includes(name as Name) || value.source.startsWith(PREFIX))
      ? [value]
      : [],
  );
  if (config.framesEnabled !== true && given.length === 0) return {};
  const asked =
    config.framesEnabled === true ||
    (raw.framesHubEnabled !== undefined && !isHubsWord(raw.framesHubEnabled));
  if (asked || !given.some(isHubsWord)) return { framesHubEnabled: true };
  return {
    framesHubEnabled: true,
    framesAuthEnabled: config.framesAuthEnabled ?? false,
    framesAuthAllowAnonymous: config.framesAuthAllowAnonymous ?? true,
  };
}

const PREFIX = "GOHUB_";

/** A variable of the hub, or its key in a file: `server.ws_path (roost.yaml, line 3)`. */
function isHubsWord({ source }: { source: string }): boolean {
  return source.startsWith(PREFIX) || /^(server|hub|auth)\./.test(source);
}
