// The web app's share of a listener's pages (HTTP contract, H4 to H6): at the root where nobody else's is, alone at a port of its own, and
// a section that says how to get it while it is not there.
import { clientUrl } from "../../http/client-url.ts";
import { type FrontPageShare, wantsPage } from "../../http/front-page.ts";
import type { Section } from "../../http/start-page.ts";
import { pathOf } from "../../server/http-routes.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { isAppsPage } from "./paths.ts";
import type { WebAppSite } from "./site.ts";

type AppShare = Required<Pick<FrontPageShare, "root" | "unclaimed" | "section" | "standsInAt">>;

export interface WebShareParts {
  readonly site: WebAppSite;
  /** Of the hub, for its clients; undefined: nobody said. */
  readonly publicUrl: string | undefined;
  /** The server's own. */
  readonly mainPort: () => number;
  /** Where the app is served by itself. */
  readonly webPort: number | undefined;
  /** Another web app is at the root of the server's port. */
  readonly rootIsTaken: boolean;
}

type Facts = Pick<RequestFacts, "trustedProxy" | "isSecure">;

/** At a port with the hub. `isShared`: other protocols answer there too, and programs find theirs; else everybody gets the page (E3). */
export function appWithHub(parts: WebShareParts, isShared: boolean): AppShare {
  const { site } = parts;
  const isHidden = isShared && parts.rootIsTaken;
  return {
    root: async (request) => {
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (isHidden || !isRead || (isShared && !wantsPage(request))) return undefined;
      const page = await site.index(request);
      // Programs find something else at this address.
      if (isShared) page?.headers.append("vary", "accept");
      return page;
    },
    unclaimed: async (request) =>
      isHidden ? undefined : site.answer(request, pathOf(request.url), !isShared),
    section: (request, facts) => {
      const { publicUrl, mainPort } = parts;
      return sectionOf(parts, { hub: clientUrl(request, facts, { publicUrl, port: mainPort() }), isHidden });
    },
    standsInAt: isAppsPage,
  };
}

/** At a port where the app has to be told where its hub is. */
export function appAlone(parts: WebShareParts): AppShare {
  const shared = appWithHub(parts, false);
  return {
    ...shared,
    section: (request, facts) => sectionOf(parts, { hub: hubUrl(parts, request, facts), isHidden: false }),
    root: async (request, facts) => {
      if (request.method !== "GET" && request.method !== "HEAD") return undefined;
      const page = await parts.site.index(request);
      if (page === undefined || new URL(request.url, "http://app").searchParams.get("hub")) return page;
      const location = `/?hub=${encodeURIComponent(hubUrl(parts, request, facts))}`;
      return new Response(null, { status: 302, headers: { location, "cache-control": "no-store" } });
    },
  };
}

/** Without a word from anybody it is the host that the browser used, at the server's own port. */
function hubUrl({ publicUrl, mainPort }: WebShareParts, request: Request, facts: Facts): string {
  if (publicUrl !== undefined) return publicUrl;
  const url = new URL(clientUrl(request, facts, { publicUrl: undefined, port: mainPort() }));
  url.port = `${mainPort()}`;
  return url.origin;
}

async function sectionOf(
  parts: WebShareParts,
  { hub, isHidden }: { hub: string; isHidden: boolean },
): Promise<Section> {
  const { site, webPort, rootIsTaken } = parts;
  const title = "HAPI";
  if (await site.isThere()) {
    if (!isHidden) return { title, paragraphs: [[{ text: "Open HAPI's web app", href: "/sessions" }]] };
    if (webPort !== undefined)
      return {
        title,
        paragraphs: [["HAPI's web app is at port ", { code: `${webPort}` }, " of this server."]],
      };
    return {
      title,
      paragraphs: [
        [
          "HAPI's web app is installed, and another web app is at the root of this server. Give it a port of its own: ",
          { code: "--hapi-web-port" },
          ".",
        ],
      ],
    };
  }
  const withHub = `?hub=${hub}`;
  return {
    title,
    paragraphs: [
      [
        "HAPI's web app is not installed here. Roost does not contain it; on this server, ",
        { code: `roost hapi web install${rootIsTaken ? " --hapi-web-port PORT" : ""}` },
        " copies it from the released hapi or from a hub that you run.",
      ],
      [
        "Or open a HAPI web app that you have, such as your old hub's, with ",
        { code: withHub },
        " behind its address; its origin has to be among the origins that this server allows (",
        { code: "--hapi-cors-origins" },
        ").",
      ],
      [
        "The hosted one at ",
        { code: `https://app.hapi.run/${withHub}` },
        " also needs https here. It is not allowed by itself: such a page sees the access token.",
      ],
    ],
  };
}
