// Generates WebSocket frames, Engine.IO packets and Socket.IO packets that are wrong in every way we could think of.
import type { Random } from "./random.ts";
import { frame } from "./raw-connection.ts";

/** Every event that the server listens to, and names that a careless one would trip over. */
const EVENTS = [
  ..."ping message update-metadata update-state session-alive session-end machine-alive machine-update-metadata".split(
    " ",
  ),
  ..."machine-update-state app-state rpc-register rpc-unregister rpc-call artifact-read artifact-create".split(
    " ",
  ),
  ..."artifact-update artifact-delete access-key-get usage-report error rpc-request update ephemeral".split(
    " ",
  ),
  ..."__proto__ constructor hasOwnProperty toString then".split(" "),
];
const RESERVED = "connect connect_error disconnect disconnecting newListener removeListener".split(" ");
const FIELDS =
  "sid message localId metadata agentState expectedVersion time thinking machineId daemonState method params state key tokens cost sessionId id header body dataEncryptionKey artifactId".split(
    " ",
  );

const deepArray = (random: Random, most: number): string => {
  const depth = random.whole(2, most);
  return "[".repeat(depth) + "]".repeat(depth);
};
const deepObject = (random: Random, most: number): string => {
  const depth = random.whole(2, most);
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
};

/** JSON text of a value that no handler expects. */
export function oddJson(random: Random, known: readonly string[] = [], depth = 2): string {
  const simple = [
    ..."null true false 0 -1 1.5 1e308 -0 9007199254740993 1e999 [] {}".split(" "),
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"__proto__"',
    '{"__proto__":{"polluted":true}}',
    '{"constructor":{"prototype":{"polluted":true}}}',
    '{"toString":1,"valueOf":null,"toJSON":2}',
    '{"then":"x"}',
    '{"_placeholder":true,"num":0}',
    '{"length":-1}',
  ];
  const kind = random.whole(0, 9);
  if (kind <= 4 || depth === 0) return random.pick(simple);
  if (kind === 5) return JSON.stringify(random.text(random.whole(1, 300)));
  if (kind === 6 && known.length > 0) return JSON.stringify(random.pick(known));
  if (kind === 7) return random.chance(0.5) ? deepArray(random, 3_000) : deepObject(random, 3_000);
  if (kind === 8) return JSON.stringify("x".repeat(random.whole(1000, 100_000)));
  return oddObject(random, known, depth - 1);
}

function oddObject(random: Random, known: readonly string[], depth: number): string {
  const fields = Array.from(
    { length: random.whole(1, 6) },
    () => `${JSON.stringify(random.pick(FIELDS))}:${oddJson(random, known, depth)}`,
  );
  return `{${fields.join(",")}}`;
}

/** A well-formed Socket.IO event whose arguments are odd. It must cost nobody their connection. */
export function oddEvent(random: Random, known: readonly string[]): string {
  const ack = random.chance(0.5) ? `${random.whole(0, 1e6)}` : "";
  const values = Array.from({ length: random.whole(0, 3) }, () =>
    random.chance(0.6) ? oddObject(random, known, 1) : oddJson(random, known),
  );
  return `42${ack}[${[JSON.stringify(random.pick(EVENTS)), ...values].join(",")}]`;
}

/** Text frames for a connection that has just opened, or that has been accepted. Most end it. */
export function oddPackets(random: Random, known: readonly string[]): string[] {
  const event = () => oddEvent(random, known);
  const kinds: (() => string[])[] = [
    () => [random.text(random.whole(0, 200))],
    () => [`${random.whole(0, 9)}${random.text(random.whole(0, 50))}`],
    () => [`4${random.whole(0, 9)}${random.text(random.whole(0, 80))}`],
    // Events before CONNECT, and to namespaces that nobody joined.
    () => [event()],
    () => [event().replace("42", `42/${random.text(5).replaceAll(",", "")},`)],
    () => [`42[${JSON.stringify(random.pick(RESERVED))},1]`],
    () =>
      [
        '42["message"',
        "42[",
        "42[]",
        "42{}",
        '42"x"',
        "42[null]",
        "42[{}]",
        '42[1e3,"x"]',
        "42[[],[]]",
      ].slice(0, random.whole(1, 9)),
    // CONNECT, again, oddly, and to odd namespaces.
    () => [`40${oddJson(random, known)}`],
    () => [
      `40{"token":${oddJson(random, known)},"clientType":${oddJson(random)},"sessionId":${oddJson(random)}}`,
    ],
    () => [
      `40/${random.pick(["i/abc", "i/../x", "admin", "i/", "__proto__", "x".repeat(5000)])},{"token":"x"}`,
    ],
    () => Array.from({ length: random.whole(2, 20) }, () => `40/i/${random.whole(0, 1e9)},`),
    () => ["40", "41", "40", event(), "41/,", "41{}"],
    // Acknowledgements that nobody asked for.
    () => [
      `43${random.pick(["", "0", "-1", "99999999999999999999", "1e9", "0x10", "1.5"])}${oddJson(random)}`,
    ],
    () => [`44${oddJson(random)}`],
    // Binary packets: counts, placeholders, attachments that never come or were never announced.
    () => [
      `4${random.pick(["5", "6"])}${random.pick(["999999-", "0-", "-1-", "1.5-", "1e1-", "-", "11-", "1", `${"9".repeat(40)}-`, ""])}["message",{"_placeholder":true,"num":0}]`,
    ],
    () => ['451-["message",{"_placeholder":true,"num":5}]', "bAAAA"],
    () => ['451-["message",{"_placeholder":true,"num":0}]', event()],
    () => ['452-["ping",{"_placeholder":true,"num":0}]', "bAAAA", "b!!!!", "bAAAA"],
    () => ["bAAAA", `b${random.text(20)}`],
    () => [`42${deepArray(random, 20_000)}`],
    () => [`42["message",${deepObject(random, 20_000)}]`],
    // One packet of a good kind with a piece broken.
    () => [damaged(random, event())],
    () => [damaged(random, `40{"token":"${random.pick(known)}"}`), event()],
    () => ["2probe", "5", "3", "3probe", "6", "1", event()],
    () => Array.from({ length: 50 }, () => random.pick(["2", "3", "6", "40", "41"])),
  ];
  return random.pick(kinds)();
}

function damaged(random: Random, text: string): string {
  const at = random.whole(0, text.length);
  return random.pick([
    text.slice(0, at),
    text.slice(0, at) + random.text(random.whole(1, 3)) + text.slice(at),
    text.slice(0, at) + text.slice(at + random.whole(1, 5)),
    text + text,
  ]);
}

/** Bytes that are wrong for WebSocket itself, or carry something wrong in a shape of their own. */
export function oddFrames(random: Random, known: readonly string[]): Uint8Array[] {
  const text = () => random.pick(oddPackets(random, known)) ?? "";
  const kinds: (() => Uint8Array[])[] = [
    () => oddPackets(random, known).map((packet) => frame(packet)),
    () => [random.bytes(random.whole(1, 400))],
    () => [frame(text(), { opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) })],
    () => [frame(text(), { reserved: random.whole(1, 7) })],
    () => [frame(text(), { masked: false })],
    () => [frame(random.bytes(random.whole(0, 300)), { opcode: 2 })],
    () => [frame(random.bytes(random.whole(1, 100)))],
    () => [frame("x".repeat(126), { opcode: random.pick([8, 9, 10]) })],
    () => [frame(text(), { opcode: random.pick([8, 9, 10]), fin: false })],
    () => [frame(text(), { opcode: 0 })],
    () => [frame("42[", { fin: false }), frame('"ping"]'), frame("x", { opcode: 0 })],
    () => [
      frame("42[", { fin: false }),
      ...Array.from({ length: 100 }, () => frame("", { opcode: 0, fin: false })),
    ],
    () => [frame(text(), { claims: random.pick([2n ** 63n, 2n ** 64n - 1n, 1_000_001n, 70_000n]) })],
    () => [frame(text()).slice(0, random.whole(1, 6))],
    () => [frame(new Uint8Array([random.whole(0, 255)]), { opcode: 8 })],
    () => [
      frame(new Uint8Array([random.whole(0, 19), random.whole(0, 255), 0xff]), { opcode: 8 }),
      frame("2"),
    ],
    () => Array.from({ length: 200 }, () => frame("", { opcode: 9 })),
    () => [frame("40"), frame(random.bytes(20), { opcode: 2 }), frame(text())],
  ];
  return random.pick(kinds)();
}
