// A look at a server from outside, as clients see it: what every server must get right, and what each protocol's clients need.
import { isIP } from "node:net";
import { checkCertificate } from "./certificate.ts";
import { type Finding, failure, ok, warning } from "./finding.ts";
import { HTTPS } from "./proxy-lines.ts";

export interface Visit {
  /** With http or https; a path in it is kept, as clients keep it. */
  readonly url: URL;
  /** The same without what comes behind the path, and without a slash at its end. */
  readonly base: string;
  /** How long a silent connection must hold. */
  readonly idleSeconds: number;
}

/** What a protocol looks at. */
export interface OutsideLook {
  /** Whether the protocol answers there; behind a closed door there is nothing else to see. Undefined: it need not be there, and is not. */
  answers(visit: Visit): Promise<Finding | undefined>;
  /** In order. What takes long is begun and handed to `late`, so that the others need not wait for it. */
  checks(visit: Visit, late: (finding: Promise<Finding>) => void): AsyncIterable<Finding>;
}

/** Every finding, in order; the long waits go on beside the others. */
export async function* fromOutside(
  { url, idleSeconds }: Pick<Visit, "url" | "idleSeconds">,
  looks: readonly OutsideLook[],
): AsyncGenerator<Finding> {
  const base = url.href.replace(/[?#].*$/, "").replace(/\/+$/, "");
  const visit = { url, base, idleSeconds };
  const late: Promise<Finding>[] = [];
  for (const look of looks) {
    const door = await look.answers(visit);
    if (door === undefined) continue;
    yield door;
    if (door.result !== "failure") yield* look.checks(visit, (finding) => late.push(finding));
  }
  yield await checkCertificate(url);
  yield checkPlainHttp(url);
  for (const finding of late) yield await finding;
}

/** App Transport Security and Android's cleartext rule decide before a single byte is sent, so nothing can be seen from here. */
export function checkPlainHttp(url: URL): Finding {
  if (url.protocol === "https:") return ok("plain-http", "The address is https: every phone may use it.");
  const fix = "Or give Roost a certificate itself: --tls-cert FILE --tls-key FILE.";
  const place = placeOf(url.hostname);
  if (place === "machine")
    return warning("plain-http", "The address is this machine only: no phone reaches it.", { fix });
  if (place === "lan")
    return warning(
      "plain-http",
      "Plain http on a LAN address: Android phones (9 and later) refuse it in the store's app (cleartext is not permitted); iPhones allow it for local addresses only, after the permission for the local network.",
      { fix, proxy: HTTPS },
    );
  return failure(
    "plain-http",
    `Plain http at ${url.hostname}: iPhones (App Transport Security) and Android phones (cleartext is not permitted) both refuse it, and tokens can be read on the way.`,
    { fix, proxy: HTTPS },
  );
}

export function placeOf(hostname: string): "machine" | "lan" | "internet" {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || host.endsWith(".localhost") || host === "::1" || host.startsWith("127."))
    return "machine";
  if (isIP(host) === 4) {
    const [a = 0, b = 0] = host.split(".").map(Number);
    const isPrivate =
      a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254);
    return isPrivate ? "lan" : "internet";
  }
  if (isIP(host) === 6) return /^f[cd]|^fe[89ab]/.test(host) ? "lan" : "internet";
  return host.endsWith(".local") || !host.includes(".") ? "lan" : "internet";
}
