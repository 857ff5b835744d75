// Which web pages may speak to the hub (hapi-http-sse H7): those of the listed origins, of the public address, and of the address that
// the page itself was loaded from, also at the web app's own port. Nothing is authenticated by cookies, so that this gives a page no more
// than the token that it has.
import { clientUrl } from "../../http/client-url.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { ServerConfig } from "../../server/settings.ts";

export interface OriginsParts {
  /** Asked each time. `*` among them is every origin. */
  readonly listed: () => readonly string[];
  readonly config: Pick<ServerConfig, "publicUrl" | "port">;
  /** Of the hub's own listener: what nobody gave an address or a list has the original's default address (A3). */
  readonly ownPort?: number | undefined;
  /** Where the web app is served by itself (H5). */
  readonly webPort?: number | undefined;
}

export type AllowsOrigin = (
  origin: string,
  request: Request,
  facts: Pick<RequestFacts, "trustedProxy" | "isSecure">,
) => boolean;

export function allowedOrigins({ listed, config, ownPort, webPort }: OriginsParts): AllowsOrigin {
  const usual = `http://localhost:${ownPort ?? config.port}`;
  return (origin, request, facts) => {
    const all = listed();
    if (all.includes("*") || all.includes(origin)) return true;
    const from = URL.parse(origin);
    if (from === null || from.host === "") return false;
    const address = config.publicUrl ?? (all.length === 0 ? usual : undefined);
    if (address !== undefined && URL.parse(address)?.origin === from.origin) return true;
    // A port that goes without saying depends on the scheme; a proxy may have taken the scheme away.
    const used = URL.parse(clientUrl(request, facts, { ...config, publicUrl: undefined }));
    if (used === null || used.hostname !== from.hostname) return false;
    const port = portOf(from, from);
    return port === portOf(used, from) || port === `${webPort}`;
  };
}

const portOf = (url: URL, scheme: URL): string =>
  url.port !== "" ? url.port : scheme.protocol === "https:" ? "443" : "80";
