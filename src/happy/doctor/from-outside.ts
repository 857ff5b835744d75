// Looks at a server from outside and does what the Happy app will do: each check asks one thing, and says what to change where it fails.
import { type Finding, failure, ok, problemOf, skipped, warning } from "../../doctor/finding.ts";
import { type Answer, ask, askRaw, describe, isOwnRefusal } from "../../doctor/http-probe.ts";
import type { OutsideLook } from "../../doctor/outside.ts";
import { LARGE_BODY, LONG_LIVED, OWN_CORS, TO_ROOST, UPGRADE, WHOLE_PATH } from "../../doctor/proxy-lines.ts";
import { openSocket, type SocketProbe } from "./socket-probe.ts";

const BANNER = "Welcome to Happy Server!";
const UPLOAD_BYTES = 10 * 1024 * 1024;
const UPLOAD_MS = 120_000;

/** The long wait goes on beside the others. */
export const outsideLook: OutsideLook = {
  answers: ({ base }) => checkBanner(base),
  checks: async function* ({ url, base, idleSeconds }, late) {
    const { socket, finding } = await checkWebSocket(url.origin);
    late(
      socket === undefined
        ? Promise.resolve(skipped("idle", "Without a WebSocket there is no connection to hold."))
        : hold(socket, idleSeconds),
    );
    yield finding;
    yield await checkSlashes(base);
    yield await checkUpload(base);
    yield await checkCors(base);
  },
};

/** HTTP contract 3.1: the app refuses to save a server whose page does not contain the banner. */
export async function checkBanner(base: string): Promise<Finding> {
  let answer: Answer;
  try {
    answer = await ask(`${base}/`, { headers: { accept: "text/plain" } });
  } catch (error) {
    return failure("banner", `Nothing answers at ${base}: ${problemOf(error)}.`, {
      fix: "Check the name, the port and the firewall, and that Roost or the proxy runs there.",
    });
  }
  if (answer.status >= 200 && answer.status < 300 && answer.text.includes(BANNER))
    return ok("banner", `${base} answers with the banner that the app looks for.`);
  if (answer.status >= 300 && answer.status < 400)
    return failure(
      "banner",
      `${base} sends the app elsewhere (${describe(answer)}); requests with a body do not survive that.`,
      {
        fix: "Enter the address it points to in the app; if that is a sign-in page, let this host name pass without it.",
      },
    );
  const what =
    answer.status >= 502 && answer.status <= 504
      ? `The proxy does not reach Roost (${describe(answer)}).`
      : `Something else than Roost answers at ${base} (${describe(answer)}).`;
  return failure("banner", what, { proxy: TO_ROOST });
}

/** Clients put paths behind an address that may end in a slash, and the socket's own path ends in one. */
export async function checkSlashes(base: string): Promise<Finding> {
  try {
    // Not with fetch, which tidies doubled slashes away by itself.
    const doubled = await askRaw(
      new URL(`${base}//v1/sessions`),
      { method: "POST", headers: { "Content-Type": "application/json", Connection: "close" }, body: "{}" },
      15_000,
    );
    if (!isOwnRefusal(doubled) || doubled.status === 404)
      return failure("slashes", `A path with a doubled slash does not reach Roost (${describe(doubled)}).`, {
        proxy: WHOLE_PATH,
      });
    const trailing = await ask(`${new URL(base).origin}/v1/updates/?EIO=4&transport=polling`);
    if (trailing.status !== 200 || !trailing.text.startsWith("0{"))
      return failure(
        "slashes",
        `A path with a slash at its end does not reach Roost (${describe(trailing)}).`,
        {
          proxy: WHOLE_PATH,
        },
      );
    return ok("slashes", "Doubled and trailing slashes arrive as they were sent.");
  } catch (error) {
    return failure(
      "slashes",
      `A path with a doubled or trailing slash gets no answer: ${problemOf(error)}.`,
      {
        proxy: WHOLE_PATH,
      },
    );
  }
}

/** Socket clients put a path of the address into the namespace: the connection itself goes to the top. */
async function checkWebSocket(base: string): Promise<{ finding: Finding; socket?: SocketProbe }> {
  try {
    const socket = await openSocket(base);
    return { socket, finding: ok("websocket", "A WebSocket opens through everything in between.") };
  } catch (error) {
    const seen = await upgradeAnswer(base);
    const says = `The WebSocket of the app does not open: ${seen ?? problemOf(error)}.`;
    return { finding: failure("websocket", says, { proxy: UPGRADE }) };
  }
}

/** What stands in place of "101 Switching Protocols"; a WebSocket client does not tell. */
async function upgradeAnswer(base: string): Promise<string | undefined> {
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64"),
  };
  try {
    const url = new URL(`${base}/v1/updates/?EIO=4&transport=websocket`);
    const answer = await askRaw(url, { method: "GET", headers }, 10_000);
    return answer.status === 101 ? undefined : `the upgrade was answered ${describe(answer)}`;
  } catch {
    return undefined;
  }
}

/** Silent but for the pings of every 15 s, as a phone in a pocket. */
async function hold(socket: SocketProbe, seconds: number): Promise<Finding> {
  const startedAt = performance.now();
  const joined = await socket.join();
  // Who does not join is let go after 20 s: no more can be seen.
  const aim = joined ? seconds : Math.min(seconds, 17);
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), aim * 1_000);
  const cut = await Promise.race([socket.ended, over]);
  clearTimeout(timer);
  socket.close();
  const held = Math.round((performance.now() - startedAt) / 1_000);
  if (cut !== undefined)
    return failure(
      "idle",
      `A silent connection was cut after ${held} s (${cut}); the app's pings come every 15 s.`,
      {
        proxy: LONG_LIVED,
      },
    );
  if (aim > 16 && socket.pings === 0)
    return failure("idle", `The server's pings do not arrive: none in ${held} s.`, { proxy: LONG_LIVED });
  if (aim < seconds)
    return warning(
      "idle",
      `A silent connection held for ${held} s; this server lets nobody without an account stay longer.`,
    );
  return ok("idle", `A silent connection held for ${held} s (${socket.pings} pings).`);
}

/**
 * Without an account nothing may be stored, so this uploads to a real attachment path without a token. Roost takes the whole body,
 * throws it away and refuses: that proves that everything in between lets an upload through, and leaves nothing behind.
 */
export async function checkUpload(base: string): Promise<Finding> {
  const url = new URL(`${base}/v1/sessions/doctor/attachments/doctor.enc`);
  const headers = { "Content-Type": "application/octet-stream", Connection: "close" };
  try {
    const answer = await askRaw(url, { method: "PUT", headers, bodyBytes: UPLOAD_BYTES }, UPLOAD_MS);
    if (answer.status === 401 && isOwnRefusal(answer) && answer.sentBytes < UPLOAD_BYTES)
      return warning(
        "upload",
        `Roost refused the upload, as it must, after ${Math.round(answer.sentBytes / 2 ** 20)} of 10 MiB: the way to it is slow, and the rest was not tried.`,
      );
    if (answer.status === 401 && isOwnRefusal(answer))
      return ok("upload", "A request of 10 MiB, the largest attachment, is let through to Roost.");
    if (answer.status === 413)
      return failure("upload", `The proxy refuses 10 MiB as too large (${describe(answer)}).`, {
        proxy: LARGE_BODY,
      });
    return failure("upload", `An upload of 10 MiB does not reach Roost (${describe(answer)}).`, {
      proxy: LARGE_BODY,
    });
  } catch (error) {
    return failure("upload", `An upload of 10 MiB does not get through: ${problemOf(error)}.`, {
      proxy: LARGE_BODY,
    });
  }
}

const ORIGIN = "https://app.happy.engineering";

/** The web app, and the app in a browser, come from another origin (HTTP contract 1.9). */
export async function checkCors(base: string): Promise<Finding> {
  try {
    const preflight = await ask(`${base}/v1/sessions`, {
      method: "OPTIONS",
      headers: {
        origin: ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
      },
    });
    const plain = await ask(`${base}/health`, { headers: { origin: ORIGIN } });
    for (const answer of [preflight, plain]) {
      const allowed = answer.headers.get("access-control-allow-origin");
      if (allowed?.includes(","))
        return failure(
          "cors",
          `Two Access-Control-Allow-Origin headers arrive ("${allowed}"), and browsers refuse that.`,
          {
            proxy: OWN_CORS,
          },
        );
      if (allowed !== "*" && allowed !== ORIGIN)
        return failure(
          "cors",
          `Browsers are not let in: Access-Control-Allow-Origin is ${allowed ?? "missing"} (${describe(answer)}).`,
          {
            proxy: OWN_CORS,
          },
        );
    }
    const headers = preflight.headers.get("access-control-allow-headers")?.toLowerCase() ?? "";
    if (preflight.status >= 300 || !headers.includes("authorization"))
      return failure("cors", `A browser's preflight is not answered by Roost (${describe(preflight)}).`, {
        proxy: OWN_CORS,
      });
    return ok("cors", "Browsers may use it from other origins.");
  } catch (error) {
    return failure("cors", `A browser's preflight gets no answer: ${problemOf(error)}.`, { proxy: OWN_CORS });
  }
}
