// What no client of HAPI's would send: events of both namespaces and bodies of every route, wrong in every way we could think of. Routes
// are read from the app itself, so that none is forgotten.
import { Hono } from "hono";
import type { HapiContext } from "../../src/hapi/context.ts";
import type { OpenEnv } from "../../src/hapi/http/kit/env.ts";
import { hapiRoutes } from "../../src/hapi/http/routes.ts";
import { oddJson } from "./malformed-frames.ts";
import type { Random } from "./random.ts";

export interface KnownHapi {
  readonly token: string;
  readonly jwt: string;
  readonly session: string;
  readonly machine: string;
}

/** Every event of the contract, events of the hub itself, and names that a careless one would trip over. */
export const EVENTS = {
  "/cli": [
    ..."message session-alive session-end session-ready update-metadata update-state ping usage-report".split(
      " ",
    ),
    ..."machine-alive machine-update-metadata machine-update-state machine-agy-models-changed".split(" "),
    ..."messages-consumed messages-indeterminate messages-steer-state native-queue-message".split(" "),
    ..."rpc-register rpc-unregister rpc-request update error".split(" "),
    ..."terminal:ready terminal:output terminal:exit terminal:error".split(" "),
    ..."agent-terminal:output agent-terminal:reset".split(" "),
    ..."__proto__ constructor hasOwnProperty toString then".split(" "),
  ],
  "/terminal": [
    ..."terminal:create terminal:write terminal:resize terminal:close".split(" "),
    ..."agent-terminal:subscribe agent-terminal:unsubscribe agent-terminal:input agent-terminal:resize".split(
      " ",
    ),
    ..."message terminal:output error __proto__ constructor toString".split(" "),
  ],
} as const;

const FIELDS = [
  ..."sid message localId localIds createdAt time thinking mode permissionMode modelMode model effort".split(
    " ",
  ),
  ..."expectedVersion metadata agentState runnerState machineId method params health reason state text".split(
    " ",
  ),
  ..."sessionId terminalId cols rows data code signal steered clearQueuedThinkingGrace serviceTier".split(
    " ",
  ),
];
const BODY_FIELDS = [
  ..."text localId localIds attachments scheduledAt deliveryMode name mode model effort path paths".split(
    " ",
  ),
  ..."accessToken initData tag metadata agentState runnerState id machine sessionId machineId agent".split(
    " ",
  ),
  ..."directory endpoint keys filename content mimeType entryId createdAt decision answers allowTools".split(
    " ",
  ),
  ..."subscriptionId visibility summary token platform source_kind principal event_type planId yolo".split(
    " ",
  ),
];

function oddObject(random: Random, fields: readonly string[], known: readonly string[]): string {
  const members = Array.from(
    { length: random.whole(1, 7) },
    () => `${JSON.stringify(random.pick(fields))}:${oddJson(random, known)}`,
  );
  return `{${members.join(",")}}`;
}

/** The event's text and arguments, without the head of its packet. */
export function oddHapiEvent(random: Random, namespace: keyof typeof EVENTS, known: KnownHapi): string {
  const ids = [known.session, known.machine, `${known.session}:abort`];
  const values = Array.from({ length: random.whole(0, 3) }, () =>
    random.chance(0.7) ? oddObject(random, FIELDS, ids) : oddJson(random, ids),
  );
  return `[${[JSON.stringify(random.pick(EVENTS[namespace])), ...values].join(",")}]`;
}

/** A payload that has what its handler asks for, with one member replaced. */
export function nearlyRight(random: Random, { session, machine }: KnownHapi): string {
  const sid = session;
  const time = Date.now();
  const terminal = { sessionId: session, terminalId: "t" };
  const right: [string, Record<string, unknown>][] = [
    [
      "message",
      { sid, message: { role: "agent", content: { type: "codex", data: { type: "plan" } } }, localId: "l" },
    ],
    ["session-alive", { sid, time, thinking: true, permissionMode: "default", model: "m" }],
    ["session-end", { sid, time, reason: "completed" }],
    ["update-metadata", { sid, expectedVersion: 1, metadata: { path: "/p", host: "h" } }],
    [
      "update-state",
      { sid, expectedVersion: 1, agentState: { requests: { a: { tool: "t", arguments: {} } } } },
    ],
    ["machine-alive", { machineId: machine, time, health: { collectedAt: time } }],
    ["machine-update-metadata", { machineId: machine, expectedVersion: 1, metadata: { host: "h" } }],
    ["machine-update-state", { machineId: machine, expectedVersion: 1, runnerState: { status: "running" } }],
    ["messages-consumed", { sid, localIds: ["l"], clearQueuedThinkingGrace: true }],
    ["messages-steer-state", { sid, localIds: ["l"], state: "queued" }],
    ["native-queue-message", { sid, localId: "l", text: "x" }],
    ["terminal:output", { ...terminal, data: "x" }],
    ["terminal:exit", { ...terminal, code: 0, signal: null }],
  ];
  const [event, payload] = random.pick(right);
  const at = random.pick(Object.keys(payload));
  const members = Object.entries(payload).map(
    ([key, value]) =>
      `${JSON.stringify(key)}:${key === at ? oddJson(random, [session]) : JSON.stringify(value)}`,
  );
  return `[${JSON.stringify(event)},{${members.join(",")}}]`;
}

export interface Route {
  readonly method: string;
  readonly path: string;
}

/** Every route of the hub that there is. */
export function everyRoute(): Route[] {
  // Whatever a route asks of its surroundings when it is made, it is given this.
  const anything: unknown = new Proxy(() => {}, {
    get: (_, key) => {
      if (key === Symbol.toPrimitive) return () => "1";
      return key === Symbol.iterator ? () => [][Symbol.iterator]() : anything;
    },
    apply: () => anything,
  });
  const app = new Hono<OpenEnv>();
  const { api, cli } = hapiRoutes(anything as HapiContext);
  api(app);
  cli(app);
  const more = [
    ["POST", "/api/auth"],
    ["POST", "/api/bind"],
    ["POST", "/api/visibility"],
    ["GET", "/api/events"],
    ["POST", "/api/nowhere"],
    ["POST", "/cli/nowhere"],
  ].map(([method = "", path = ""]) => ({ method, path }));
  const all = [...app.routes, ...more].filter(({ method }) => method !== "ALL");
  return [...new Map(all.map(({ method, path }) => [`${method} ${path}`, { method, path }])).values()];
}

/** With its parameters filled in: what there is, what there is not, and what is no name at all. */
export function pathOf(random: Random, { path }: Route, known: KnownHapi): string {
  const odd = () =>
    random.pick([
      "nope",
      "__proto__",
      "%00",
      "%F0%9F%92%A9",
      "..%2F..",
      "x".repeat(300),
      "-1",
      "%zz",
      "undefined",
    ]);
  const own = path.includes("machines") ? known.machine : known.session;
  const filled = path.replaceAll(/:\w+/g, (name) => (name === ":id" && random.chance(0.8) ? own : odd()));
  if (random.chance(0.6)) return filled;
  const names =
    "limit beforeAt beforeSeq afterSeq afterAt epoch path query q cwd staged sessionId machineId all order";
  const query = Array.from(
    { length: random.whole(1, 4) },
    () =>
      `${random.pick(names.split(" "))}=${random.pick(["-1", "NaN", "", "1e400", "9".repeat(30), "%00", "a".repeat(5_000), "1", "%zz", "0"])}`,
  );
  return `${filled}?${query.join("&")}`;
}

export function oddBody(random: Random, known: KnownHapi): string | Uint8Array<ArrayBuffer> {
  const ids = [known.session, known.machine];
  const object = () => oddObject(random, BODY_FIELDS, ids);
  const kinds: (() => string | Uint8Array<ArrayBuffer>)[] = [
    object,
    object,
    object,
    () => object().slice(0, -1),
    () => oddJson(random, ids),
    () => "",
    () => "null",
    () => `\ufeff${object()}`,
    () => random.bytes(random.whole(1, 300)),
    () => "[".repeat(random.whole(1, 60_000)),
    () => `{"text":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
    () => `{"text":"${"x".repeat(random.whole(100_000, 1_500_000))}"}`,
    () => `{"paths":[${'"p",'.repeat(20_000)}"p"]}`,
    () => `{"text":"a","text":{"__proto__":{"polluted":1}},}`,
  ];
  return random.pick(kinds)();
}
