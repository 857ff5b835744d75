// The replayer itself is tried: every falsification of an answer, a header, a frame or a packet is noticed by the recording that it
// touches, and by no other.
import { expect, type test } from "bun:test";
import { type Bend, bentHub } from "./bent-hub.ts";
import type { StartHub } from "./hub-under-test.ts";
import { cliReplay, httpReplay, type Replay, socketReplay } from "./recordings-suite.ts";

const instead = (needle: string, replacement: string) => (text: string) => [
  text.replace(needle, replacement),
];
const dropped = (needle: string) => (text: string) => (text.includes(needle) ? [] : [text]);
const doubled =
  (...needles: string[]) =>
  (text: string) =>
    needles.every((needle) => text.includes(needle)) ? [text, text] : [text];

const httpBends: readonly Bend[] = [
  {
    fails: "health",
    says: /body\.extra: not expected/,
    answer: (answer) => {
      if (answer.path === "/health") answer.text = answer.text.replace("{", '{"extra":1,');
    },
  },
  {
    fails: "auth wrong token",
    says: /status: expected 401, got 403/,
    answer: (answer) => {
      if (answer.text.includes("Invalid access token")) answer.status = 403;
    },
  },
  {
    fails: "cli wrong scheme",
    says: /headers\.x-hapi-protocol-version/,
    answer: (answer) => {
      if (answer.text.includes("Invalid Authorization header"))
        answer.headers.delete("x-hapi-protocol-version");
    },
  },
  {
    fails: "cors preflight allowed origin",
    says: /headers\.access-control-allow-methods/,
    answer: (answer) => {
      if (answer.method === "OPTIONS") answer.headers.set("access-control-allow-methods", "GET,POST");
    },
  },
  {
    fails: "machines online",
    says: /body\.machines\[0\]\.health\.memoryPercent: expected 40, got 41/,
    answer: (answer) => {
      if (answer.path === "/api/machines")
        answer.text = answer.text.replace('"memoryPercent":40', '"memoryPercent":41');
    },
  },
  {
    fails: "queued state after consumption",
    says: /invokedAt: expected \{\{ms\}\}/,
    answer: (answer) => {
      // Seconds instead of milliseconds.
      if (answer.path.endsWith("/queued-state"))
        answer.text = answer.text.replace(/"invokedAt":(\d+)\d{3}/, '"invokedAt":$1');
    },
  },
  {
    fails: "messages latest page",
    says: /body\.page\.reset: missing/,
    answer: (answer) => {
      if (answer.path.endsWith("/messages?limit=2")) answer.text = answer.text.replace('"reset":false,', "");
    },
  },
  {
    fails: "session list",
    says: /pendingRequestKinds\[0\]: expected "permission"/,
    answer: (answer) => {
      answer.text = answer.text.replace('["permission","input"]', '["input","permission"]');
    },
  },
  {
    fails: "git status",
    says: /rpc\[0\]\.params\.cwd/,
    packet: instead(
      String.raw`:git-status","params":"{\"cwd\":\"/home`,
      String.raw`:git-status","params":"{\"cwd\":\"/elsewhere`,
    ),
  },
  {
    fails: "send message",
    says: /updates\[1\]: not expected/,
    packet: doubled('"update"', '"local-1"'),
  },
  {
    fails: "sse global stream",
    says: /toasts\[0\]\.data\.data\.title/,
    frame: instead("Ready for input", "Ready"),
  },
  {
    fails: "sse resume with replay",
    says: /sse\[0\]\.event: not expected/,
    frame: (frame) => [frame.includes('"resume":"ok"') ? `event: message\n${frame}` : frame],
  },
  {
    fails: "archive session",
    says: /headers\.vary/,
    answer: (answer) => {
      if (answer.path.endsWith("/archive")) answer.headers.delete("vary");
    },
  },
  {
    fails: "spa fallback",
    says: /body: expected \{\{html\}\}/,
    answer: (answer) => {
      if (answer.path === "/sessions/abc") answer.text = "nothing";
    },
  },
];

const socketBends: readonly Bend[] = [
  {
    fails: "01-engineio-open",
    says: /ack\.open\.maxPayload: expected 50331648/,
    answer: (answer) => {
      answer.text = answer.text.replace('"maxPayload":50331648', '"maxPayload":1000000');
    },
  },
  {
    fails: "04-cli-bad-token",
    says: /ack\.connect_error\.message/,
    packet: instead('44/cli,{"message":"Invalid', '44/cli,{"message":"invalid'),
  },
  // An acknowledgement with an argument instead of none.
  {
    fails: "14-ping",
    says: /ack\.ackArgs\[0\]: not expected/,
    packet: (packet) => [packet.replace(/^(43\/cli,\d+)\[\]$/, "$1[null]")],
  },
  {
    fails: "15-session-alive-first",
    says: /sse-all\[1\]: not expected/,
    frame: once(doubled('"active":true,"activeAt"', '"permissionMode"')),
  },
  { fails: "22-agent-message", says: /cliB\[0\]: missing/, packet: dropped('"text":"hello"') },
  {
    fails: "27-todo-write",
    says: /sse-all\[1\]: missing|sse-all\[0\]/,
    frame: dropped('"todos":{"version"'),
  },
  {
    fails: "33-messages-consumed",
    says: /sse-S1\[1\]\.payload\.localIds/,
    frame: instead('"localIds":["web-local-1"]', '"localIds":[]'),
  },
  {
    fails: "40-update-metadata-ok",
    says: /ack\.version: expected 3, got "3"/,
    packet: instead(
      '"result":"success","version":3,"metadata"',
      '"result":"success","version":"3","metadata"',
    ),
  },
  {
    fails: "68-rpc-upload",
    says: /ack\.body\.path/,
    answer: (answer) => {
      if (answer.path.endsWith("/upload"))
        answer.text = answer.text.replace("/blobs/1-a.txt", "/blobs/2-a.txt");
    },
  },
  {
    fails: "82-rpc-path-exists",
    says: /runner\[0\]\.payload\.params\(JSON\)\.paths/,
    packet: instead(String.raw`[\"/a\",\"/b\",\"/c\"]`, String.raw`[\"/a\",\"/b\",\"/a\",\"/c\"]`),
  },
  {
    fails: "92-terminal-ready",
    says: /web1\[0\]\.payload\.sessionId: missing/,
    packet: (packet) => [packet.replace(/("terminal:ready",\{)"sessionId":"[^"]*",/, "$1")],
  },
  {
    fails: "110-archive",
    says: /sse-S1\[2\]: not expected/,
    frame: (frame) =>
      frame.includes('"session-ended"') && !frame.includes('"reason"') ? [frame, frame] : [frame],
  },
];

const cliBends: readonly Bend[] = [
  {
    fails: "T02-runner-connects",
    says: /open\.pingInterval/,
    packet: once(instead('"pingInterval":25000', '"pingInterval":20000')),
  },
  {
    fails: "T04-runner-running",
    says: /ack\[0\]\.result/,
    packet: once(instead('[{"result":"success"', '[{"result":"fine"')),
  },
  // The envelope's id is the message's own.
  {
    fails: "T12-message-reaches-cli",
    says: /event\[1\]\.body\.message\.id/,
    packet: (packet) => [packet.replace(/^(42\/cli,\["update",\{"id":")[^"]*/, `$1${crypto.randomUUID()}`)],
  },
  {
    fails: "T17-flush-ping",
    says: /packet: expected "43\/cli,9\[\]"/,
    packet: instead("43/cli,9[]", "43/cli,9[{}]"),
  },
  {
    fails: "T18-runner-shutdown",
    says: /runnerState\.shutdownSource/,
    packet: instead('"shutdownSource":"os-signal"', '"shutdownSource":"user"'),
  },
];

/** Only the first time that it changes something. */
function once(bend: (text: string) => string[]): (text: string) => string[] {
  let done = false;
  return (text) => {
    if (done) return [text];
    const bent = bend(text);
    done = bent.join() !== text;
    return bent;
  };
}

async function failures<Entry>(
  { entries, nameOf, open }: Replay<Entry>,
  startHub: StartHub,
  bends: readonly Bend[],
): Promise<Map<string, string>> {
  const hub = bentHub(await startHub(), bends);
  const failed = new Map<string, string>();
  let close = () => {};
  try {
    const replay = await open(hub);
    close = () => replay.close();
    for (const entry of entries) {
      const wrong = await replay.step(entry).catch((error: unknown) => [`${error}`]);
      if (wrong.length > 0) failed.set(nameOf(entry), wrong.join("\n"));
    }
    return failed;
  } finally {
    close();
    await hub.stop();
  }
}

/** Call it in a `describe`. */
export function testBending(startHub: StartHub, register: typeof test): void {
  const tries = [
    ["HTTP and event streams", httpReplay, httpBends],
    ["sockets", socketReplay, socketBends],
    ["the released CLI's steps", cliReplay, cliBends],
  ] as const;
  for (const [what, replay, bends] of tries)
    register(
      `a falsified answer is noticed by the recording that it touches and by no other: ${what}`,
      async () => {
        const failed = await failures(replay as Replay<unknown>, startHub, bends);
        expect([...failed.keys()].sort()).toEqual(bends.map(({ fails }) => fails).sort());
        for (const { fails, says } of bends) expect(failed.get(fails)).toMatch(says);
      },
      180_000,
    );
}
