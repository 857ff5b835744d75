// Web Push (RFC 8030) with VAPID (RFC 8292) and aes128gcm (RFC 8291): one request an endpoint, each for itself. An endpoint is an address
// that a client gave: it is a secret, and only one that everybody can reach is asked, unless this server says otherwise.
import { type ClientRequest, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { setImmediate as nextTurn } from "node:timers/promises";
import { bareHost, isPublicAddress, NotPublic, publicLookup } from "../../http/public-address.ts";
import type { PushChannel, Verdict } from "../channel.ts";
import type { Deadline } from "../deadline.ts";
import { Lanes } from "./lanes.ts";
import { LOST, type Passing, passing, patiently, retryAfterMs } from "./patience.ts";

export interface WebPushAddress {
  readonly endpoint: string;
  /** Base64url: the browser's point of P-256, and its 16 secret bytes. */
  readonly p256dh: string;
  readonly auth: string;
}

export interface WebPushMessage {
  /** What the page's service worker is handed. */
  readonly payload: string;
}

export interface WebPushParts {
  readonly vapid: { readonly publicKey: string; readonly privateKey: string };
  /** Whom a push service asks about troubles: `mailto:` or `https:`. */
  readonly subject: string;
  /** Whether endpoints inside the own network, and of plain http, are asked too. */
  readonly inside: boolean;
  /** For one attempt. */
  readonly attemptMs?: number;
}

/** Four weeks, as long as a service keeps it for a browser that is away. */
const TTL_SECONDS = 2_419_200;
/** Of the 4,096 bytes that every service takes (RFC 8291, 4): a header of 86, a tag of 16 and one of padding are not the message. */
const MAX_PAYLOAD_BYTES = 3_993;
const MAX_ATTEMPTS = 5;
const ATTEMPT_MS = 10_000;
/** Of one push. More than one owner has: one that hangs takes the way from no other. */
const LANES = 64;
/** A token is good for twelve hours, and used for one. */
const TOKEN_MS = 3_600_000;
const MAX_TOKENS = 100;
const INSIDE = "address inside the own network";

type Outcome = { readonly kind: "answered"; readonly status: number } | Passing;
type Refused = { readonly kind: "refused"; readonly reason: string };

export class WebPush implements PushChannel<WebPushAddress, WebPushMessage> {
  readonly name = "web push";
  /** origin of a service -> what lets this server in there */
  readonly #tokens = new Map<string, { readonly authorization: string; readonly at: number }>();

  constructor(private readonly parts: WebPushParts) {}

  async send(
    to: readonly WebPushAddress[],
    { payload }: WebPushMessage,
    deadline: Deadline,
  ): Promise<Verdict[]> {
    if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) return to.map(() => failed("message too large"));
    const lanes = new Lanes(LANES);
    const sending: Promise<Verdict>[] = [];
    for (const address of to) {
      sending.push(lanes.run(() => this.#deliver(address, payload, deadline)));
      // Each encryption takes some milliseconds: others have their turn in between.
      await nextTurn();
    }
    return await Promise.all(sending);
  }

  async #deliver(address: WebPushAddress, payload: string, deadline: Deadline): Promise<Verdict> {
    const url = URL.parse(address.endpoint);
    if (url === null || !isAllowed(url, this.parts.inside)) return failed(INSIDE);
    let sealed: Sealed;
    try {
      sealed = await this.#seal(url, address, payload);
    } catch {
      return failed("keys that are none");
    }
    const attempt = () => this.#post(url, sealed, deadline.signal);
    const outcome = await patiently<Outcome | Refused>(attempt, deadline, MAX_ATTEMPTS);
    if (outcome.kind !== "answered") return failed(outcome.reason);
    const { status } = outcome;
    if (status >= 200 && status < 300) return { ok: true, ticket: undefined };
    return { ok: false, reason: `HTTP ${status}`, dead: status === 404 || status === 410 };
  }

  async #seal(url: URL, { p256dh, auth }: WebPushAddress, payload: string): Promise<Sealed> {
    // Most servers never push: what this needs in memory is loaded with the first one.
    const { default: webPush } = await import("web-push");
    const { cipherText } = webPush.encrypt(p256dh, auth, payload, "aes128gcm");
    return { body: cipherText, authorization: this.#authorization(url.origin, webPush) };
  }

  #authorization(origin: string, webPush: Pick<typeof import("web-push"), "getVapidHeaders">): string {
    const known = this.#tokens.get(origin);
    if (known !== undefined && performance.now() - known.at < TOKEN_MS) return known.authorization;
    const { vapid, subject } = this.parts;
    const { publicKey, privateKey } = vapid;
    const made = webPush.getVapidHeaders(origin, subject, publicKey, privateKey, "aes128gcm");
    const authorization = made.Authorization;
    this.#tokens.delete(origin);
    this.#tokens.set(origin, { authorization, at: performance.now() });
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= MAX_TOKENS) break;
      this.#tokens.delete(oldest);
    }
    return authorization;
  }

  /** Never rejects. What the service says beside its status is not read: it may be endless. */
  #post(url: URL, { body, authorization }: Sealed, stopping: AbortSignal): Promise<Outcome | Refused> {
    const { inside, attemptMs = ATTEMPT_MS } = this.parts;
    const { promise, resolve } = Promise.withResolvers<Outcome | Refused>();
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(attemptMs)]);
    const lost = (error?: unknown) =>
      resolve(
        error instanceof NotPublic
          ? { kind: "refused", reason: INSIDE }
          : stopping.aborted
            ? { kind: "refused", reason: LOST }
            : passing(LOST),
      );
    let sent: ClientRequest;
    try {
      sent = (url.protocol === "https:" ? secureRequest : plainRequest)(url, {
        method: "POST",
        headers: {
          authorization,
          "content-encoding": "aes128gcm",
          "content-length": body.byteLength,
          "content-type": "application/octet-stream",
          ttl: TTL_SECONDS,
          urgency: "normal",
        },
        // A kept connection that died unseen while no push went out would cost the whole deadline.
        agent: false,
        signal,
        ...(!inside && { lookup: publicLookup }),
      });
    } catch {
      lost();
      return promise;
    }
    sent.on("error", lost);
    sent.on("response", (response) => {
      const { statusCode: status = 0, headers } = response;
      response.on("error", () => {});
      sent.destroy();
      resolve(
        status === 429 || status >= 500 || status === 0
          ? passing(`HTTP ${status}`, retryAfterMs(headers["retry-after"], headers.date))
          : { kind: "answered", status },
      );
    });
    sent.end(body);
    return promise;
  }
}

interface Sealed {
  readonly body: Buffer;
  readonly authorization: string;
}

const failed = (reason: string): Verdict => ({ ok: false, reason, dead: false });

/** Whether such an endpoint may be asked at all; a name is looked up when it is. */
export function isAllowed(url: URL, inside: boolean): boolean {
  if (url.protocol !== "https:" && !(inside && url.protocol === "http:")) return false;
  if (url.username !== "" || url.password !== "") return false;
  const host = bareHost(url.hostname);
  return inside || !isLiteral(host) || isPublicAddress(host);
}

const isLiteral = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(":");

const KEY_BYTES = 65;
const AUTH_BYTES = 16;

/** Whether these can be a browser's keys (RFC 8291, 3.1 and 3.2). */
export function areKeys({ p256dh, auth }: Pick<WebPushAddress, "p256dh" | "auth">): boolean {
  const point = Buffer.from(p256dh, "base64url");
  return (
    point.byteLength === KEY_BYTES &&
    point[0] === 4 &&
    Buffer.from(auth, "base64url").byteLength === AUTH_BYTES
  );
}
