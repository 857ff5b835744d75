// Every route of the HAPI protocol on a real store, without a port: the hub is the one of hapi-hub.ts, with its doubles for CLIs.
import { AccessToken } from "../../src/hapi/auth/access-token.ts";
import { WebTokens } from "../../src/hapi/auth/web-tokens.ts";
import { WrongTokens } from "../../src/hapi/auth/wrong-tokens.ts";
import type { HapiContext } from "../../src/hapi/context.ts";
import { hapiApp } from "../../src/hapi/http/app.ts";
import { hapiRoutes } from "../../src/hapi/http/routes.ts";
import { MessagePace } from "../../src/limits/message-pace.ts";
import { createLog } from "../../src/observability/log.ts";
import { parseConfig } from "./config.ts";
import { openTestHub, type TestHub } from "./hapi-hub.ts";
import { testLimits } from "./limits.ts";
import { requestFacts } from "./request-facts.ts";

const TOKEN = "kX9_long_and_of_chance";
const KEY = new Uint8Array(32).fill(7);

/** Who asks: their namespace. */
export interface As {
  readonly namespace?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class TestHapiHttp {
  readonly hub: TestHub = openTestHub();
  /** Of a namespace; 0 for no limit. */
  messagesPerSecond = 0;
  readonly limits = testLimits();
  readonly hubSettings = {
    sessionSummaryContract: false,
    sessionSummaryInChat: false,
    change: async (wanted: object) => {
      Object.assign(this.hubSettings, wanted);
    },
  };
  readonly #webTokens = new WebTokens(KEY);
  readonly #app: ReturnType<typeof hapiApp>;

  constructor() {
    const context = {
      ...this.limits,
      config: parseConfig({}),
      home: { ownerId: 1, vapidKeys: { publicKey: "the key", privateKey: "secret" } },
      hubSettings: this.hubSettings,
      access: new AccessToken(TOKEN),
      webTokens: this.#webTokens,
      pace: new MessagePace({ perSecond: () => this.messagesPerSecond, ...this.limits }),
      wrongTokens: new WrongTokens({ ...this.limits, isOn: () => true }),
      inEffect: {},
      store: this.hub.store,
      hub: this.hub.hub,
      log: createLog("silent"),
    } as unknown as HapiContext;
    this.#app = hapiApp(context, { every: false, allows: () => false }, hapiRoutes(context));
  }

  close(): void {
    this.hub.all.close();
  }

  /** With the token that the path needs; a body that is no text is sent as JSON. */
  async fetch(method: string, path: string, body?: unknown, as: As = {}): Promise<Response> {
    const { namespace = "default" } = as;
    const token = path.startsWith("/cli")
      ? `${TOKEN}:${namespace}`
      : await this.#webTokens.issue({ uid: 1, ns: namespace });
    const request = new Request(`http://hub.example${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...as.headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return this.#app(request, requestFacts({ addresses: this.limits.addresses }));
  }

  /** Status and body of the answer; a text where it is no JSON. */
  async ask(method: string, path: string, body?: unknown, as?: As): Promise<readonly unknown[]> {
    const answer = await this.fetch(method, path, body, as);
    const text = await answer.text();
    const isJson = answer.headers.get("content-type") === "application/json";
    return [answer.status, isJson ? JSON.parse(text) : text];
  }
}
