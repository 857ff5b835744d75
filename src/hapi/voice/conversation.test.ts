// A conversation with services that do not keep their side: one that never begins, one that is not there, one that stops reading. Each is
// ended within its bound, and no line of the log has the key.
import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { until } from "../../../test/support/until.ts";
import { VoiceVendors } from "../../../test/support/voice-vendors.ts";
import { createLog } from "../../observability/log.ts";
import { Conversation } from "./conversation.ts";
import { DIALECTS, type Dialect } from "./dialects.ts";

const KEY = "gemini-key-0006";
const [gemini] = DIALECTS as [Dialect];
const lines: string[] = [];
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  expect(lines.splice(0).join("")).not.toContain(KEY);
});

class Page {
  readonly heard: unknown[] = [];
  closed: readonly [number | undefined, string | undefined] | undefined;
  readonly conversation: Conversation;

  constructor(base: string, readyMs?: number) {
    this.conversation = new Conversation({
      page: {
        send: (message) => {
          this.heard.push(message);
          return "written";
        },
        close: (code, reason) => {
          this.closed = [code, reason];
        },
      },
      dialect: gemini,
      base,
      key: KEY,
      wishes: { voice: undefined, language: undefined },
      log: createLog("trace", { write: (line: string) => lines.push(line) } as never),
      ...(readyMs !== undefined && { readyMs }),
    });
    ends.push(() => this.conversation.ended());
  }

  end() {
    return until("the page to be closed", () => this.closed !== undefined, 10_000).then(() => this.closed);
  }
}

test("a service that never says that it is ready is given up", async () => {
  const vendors = new VoiceVendors();
  ends.push(() => vendors.stop());
  vendors.deaf = true;
  const page = new Page(`${vendors.settings.hapiGeminiUrl}`, 50);
  expect(await page.end()).toEqual([1011, "Gemini did not answer in time"]);
  await until("the service to be left", () => vendors.talks.every(({ closed }) => closed !== undefined));
});

test("a service that is not there, or is no socket, is said to the page", async () => {
  const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  ends.push(() => plain.stop(true));
  for (const base of ["ws://127.0.0.1:1/", `ws://127.0.0.1:${plain.port}/`]) {
    const page = new Page(base);
    const [code, reason] = (await page.end()) ?? [];
    expect(code).toBe(1011);
    expect(reason).not.toContain(KEY);
    expect(Buffer.byteLength(reason ?? "")).toBeLessThan(124);
  }
});

test("a service that accepts a connection and says nothing is given up", async () => {
  const { url } = await tcp(() => {});
  expect(await new Page(url, 50).end()).toEqual([1011, "Gemini did not answer in time"]);
});

test("a service is offered no compression: little that came would become much in memory", async () => {
  let head = "";
  const { url } = await tcp((socket) => {
    socket.on("data", (bytes) => {
      head += bytes.toString();
    });
  });
  new Page(url);
  await until("the request", () => head.includes("\r\n\r\n"));
  expect(head.toLowerCase()).not.toContain("permessage-deflate");
});

test("a page that goes at any moment takes the connection to the service along", async () => {
  let left = 0;
  const { url } = await tcp((socket) => {
    socket.on("data", () => {});
    socket.on("close", () => left++);
  });
  const pages = [new Page(url), new Page(url)];
  pages[0]?.conversation.ended();
  await Bun.sleep(20);
  pages[1]?.conversation.ended();
  await until("both to be closed", () => left === 2);
});

test("a service that stops reading is left before what waits for it is much", async () => {
  const { url } = await tcp((socket) => {
    socket.once("data", (head) => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(head.toString())?.[1] ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      );
      const ready = Buffer.from('{"setupComplete":{}}');
      socket.write(Buffer.concat([Buffer.from([0x81, ready.length]), ready]));
      socket.pause();
    });
  });
  const page = new Page(url);
  await until("the conversation to begin", () => page.heard.length === 1);
  const message = JSON.stringify({ text: "x".repeat(500_000) });
  let sent = 0;
  for (; page.closed === undefined && sent < 200; sent++) {
    page.conversation.receive(message);
    await Bun.sleep(0);
  }
  expect(page.closed).toEqual([1011, "Gemini does not keep up"]);
  // What the kernel keeps for both ends, and our own bound.
  expect(sent * message.length).toBeLessThan(60_000_000);
});

async function tcp(serve: (socket: Socket) => void): Promise<{ url: string }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { url: `ws://127.0.0.1:${typeof address === "object" ? address?.port : 0}/` };
}
