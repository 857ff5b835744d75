// Whether the frames hub is on, and what it asks of its clients, from what people gave and under which names (frames contract,
// decisions "On or off" and "Tokens"). In Roost's words it asks for tokens; in the hub's own words it keeps the hub's defaults.
import type { RawSettings } from "./env.ts";
import { hubSettings } from "./hub-settings.ts";
import type { Config, SettingName } from "./settings.ts";

type Decided = Partial<Pick<Config, "hubEnabled" | "authEnabled" | "authAllowAnonymous">>;

/** These are limits and refinements of a hub that is on. */
const ROOSTS_OWN: readonly SettingName[] = ["framesEnabled", "framesOrigins"];
/** Only a hub has these keys. `log...` and `cluster...` are everybody's: they switch nothing on. */
const HUBS_OWN = (Object.keys(hubSettings) as SettingName[]).filter((name) => !ROOSTS_OWN.includes(name));

/**
 * What the configuration says of the hub beyond its single values; nothing when it is off. A `false` always wins. Any `GOHUB_*`
 * variable counts, also of a setting that others share: nobody else has that prefix.
 */
export function decideHub(config: Config, raw: RawSettings): Decided {
  if (config.framesEnabled === false || config.hubEnabled === false) return {};
  const given = (Object.entries(raw) as [SettingName, { source: string }][]).filter(
    ([name, { source }]) => HUBS_OWN.includes(name) || source.startsWith(PREFIX),
  );
  if (config.framesEnabled !== true && given.length === 0) return {};
  const asked =
    config.framesEnabled === true || (raw.hubEnabled !== undefined && !isHubsWord(raw.hubEnabled));
  if (asked || !given.some(([, value]) => isHubsWord(value))) return { hubEnabled: true };
  return {
    hubEnabled: true,
    authEnabled: config.authEnabled ?? false,
    authAllowAnonymous: config.authAllowAnonymous ?? true,
  };
}

const PREFIX = "GOHUB_";

/** A variable of the hub, or its key in a file: `server.ws_path (roost.yaml, line 3)`, where Roost's own name would be `serverWsPath`. */
function isHubsWord({ source }: { source: string }): boolean {
  return source.startsWith(PREFIX) || /^(server|hub|auth)\./.test(source);
}
