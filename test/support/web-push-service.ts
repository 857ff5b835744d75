// A push service as browsers have them, on this machine: it decrypts what arrives as the browser would (RFC 8291, written from its text),
// checks who sent it (RFC 8292), and has bad days.
import { createDecipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from "node:crypto";
import { jwtVerify } from "jose";
import type { WebPushAddress } from "../../src/push/channels/web-push.ts";

export interface ServiceBreak {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Never answers. */
  readonly silent?: boolean;
}

export interface Pushed {
  readonly browser: string;
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly vapid: { readonly aud?: unknown; readonly sub?: string; readonly exp?: number };
}

interface Browser {
  readonly keys: ECDH;
  readonly auth: Buffer;
}

export class WebPushService {
  readonly arrived: Pushed[] = [];
  /** Of everything that reached it. */
  requests = 0;
  /** Browsers that unsubscribed, by how their endpoint answers then. */
  readonly gone = new Map<string, number>();
  /** By browser: for each request to it. */
  readonly broken = new Map<string, ServiceBreak>();
  /** For all requests. */
  brokenForAll: ServiceBreak | undefined;
  /** For the next requests, one each. */
  readonly breaks: ServiceBreak[] = [];
  readonly #browsers = new Map<string, Browser>();
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor(private readonly publicKey: () => string) {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  subscribe(name: string): WebPushAddress {
    const keys = createECDH("prime256v1");
    keys.generateKeys();
    const auth = randomBytes(16);
    this.#browsers.set(name, { keys, auth });
    return {
      endpoint: `${this.url}/push/${encodeURIComponent(name)}`,
      p256dh: keys.getPublicKey("base64url"),
      auth: auth.toString("base64url"),
    };
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    this.requests++;
    const name = decodeURIComponent(new URL(request.url).pathname.slice("/push/".length));
    const body = Buffer.from(await request.arrayBuffer());
    const { status, headers, silent } =
      this.breaks.shift() ?? this.broken.get(name) ?? this.brokenForAll ?? ({} as ServiceBreak);
    if (silent) return await new Promise<Response>(() => {});
    if (status !== undefined) return new Response("busy", { status, ...(headers && { headers }) });
    const gone = this.gone.get(name);
    const browser = this.#browsers.get(name);
    if (gone !== undefined || browser === undefined) return new Response(null, { status: gone ?? 404 });
    const vapid = await this.#sender(request);
    if (vapid === undefined) return new Response("not you", { status: 403 });
    const sent = Object.fromEntries(request.headers.entries());
    this.arrived.push({ browser: name, payload: decrypt(body, browser), headers: sent, vapid });
    return new Response(null, { status: 201 });
  }

  async #sender(request: Request) {
    const [, token = "", key = ""] =
      /^vapid t=([^,]+), k=(.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
    if (key !== this.publicKey()) return undefined;
    const point = Buffer.from(key, "base64url");
    const part = (from: number) => point.subarray(from, from + 32).toString("base64url");
    try {
      const jwk = { kty: "EC", crv: "P-256", x: part(1), y: part(33) };
      return (await jwtVerify(token, jwk, { audience: this.url })).payload;
    } catch {
      return undefined;
    }
  }
}

/** One record of RFC 8188 under the keys of RFC 8291. */
function decrypt(body: Buffer, { keys, auth }: Browser): string {
  const salt = body.subarray(0, 16);
  const recordSize = body.readUInt32BE(16);
  const idLength = body.readUInt8(20);
  const sender = body.subarray(21, 21 + idLength);
  const record = body.subarray(21 + idLength);
  if (record.byteLength > recordSize || body.byteLength > 4_096) throw new Error("more than one record");
  const shared = keys.computeSecret(sender);
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), keys.getPublicKey(), sender]);
  const derived = (secret: Uint8Array, salted: Uint8Array, of: Buffer | string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", secret, salted, of, bytes));
  const input = derived(shared, auth, info, 32);
  const key = derived(input, salt, "Content-Encoding: aes128gcm\0", 16);
  const nonce = derived(input, salt, "Content-Encoding: nonce\0", 12);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce);
  decipher.setAuthTag(record.subarray(-16));
  const plain = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
  const end = plain.lastIndexOf(2);
  if (end < 0 || plain.subarray(end + 1).some((byte) => byte !== 0)) throw new Error("no last record");
  return plain.subarray(0, end).toString("utf8");
}
