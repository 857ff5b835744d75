// A proxy in front of a hub that falsifies what the hub says, here and there: the proofs must notice each of it.
import type { ServerWebSocket } from "bun";
import type { HubUnderTest } from "./hub-under-test.ts";

export interface Answer {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  status: number;
  readonly headers: Headers;
  text: string;
}

/** One falsification. A hook that is absent changes nothing; of a frame or packet it returns what is passed on instead. */
export interface Bend {
  /** The recording that must notice it. */
  readonly fails: string;
  /** What it must say. */
  readonly says: RegExp;
  readonly answer?: (answer: Answer) => void;
  readonly frame?: (frame: string) => string[];
  readonly packet?: (packet: string) => string[];
}

interface Pair {
  readonly upstream: WebSocket;
  readonly early: string[];
}

export function bentHub(hub: HubUnderTest, bends: readonly Bend[]): HubUnderTest {
  const through = (hook: "frame" | "packet", text: string) =>
    bends.reduce((all, bend) => all.flatMap((one) => bend[hook]?.(one) ?? [one]), [text]);
  const server = Bun.serve<Pair, never>({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    fetch: async (request, proxy) => {
      const { pathname, search } = new URL(request.url);
      const path = `${pathname}${search}`;
      if (request.headers.get("upgrade") === "websocket") {
        const upstream = new WebSocket(`${hub.url.replace(/^http/, "ws")}${path}`);
        return proxy.upgrade(request, { data: { upstream, early: [] } })
          ? undefined
          : new Response("", { status: 400 });
      }
      const { method } = request;
      const headers = new Headers(request.headers);
      headers.delete("host");
      headers.set("accept-encoding", "identity");
      const response = await fetch(`${hub.url}${path}`, {
        method,
        headers,
        signal: request.signal,
        ...(method !== "GET" && { body: await request.text() }),
      });
      if (response.headers.get("content-type") === "text/event-stream" && response.body !== null)
        return new Response(
          bentFrames(response.body, (frame) => through("frame", frame)),
          response,
        );
      const answer = {
        method,
        path,
        status: response.status,
        headers: new Headers(response.headers),
        text: "",
      };
      answer.text = await response.text();
      for (const bend of bends) bend.answer?.(answer);
      answer.headers.delete("content-length");
      const empty = answer.status === 204 || answer.status === 304;
      return new Response(empty ? null : answer.text, { status: answer.status, headers: answer.headers });
    },
    websocket: {
      open(client: ServerWebSocket<Pair>) {
        const { upstream, early } = client.data;
        upstream.addEventListener("message", ({ data }) => {
          for (const packet of through("packet", `${data}`)) client.send(packet);
        });
        upstream.addEventListener("open", () => {
          for (const packet of early.splice(0)) upstream.send(packet);
        });
        upstream.addEventListener("close", () => client.close());
      },
      message(client, packet) {
        const { upstream, early } = client.data;
        if (upstream.readyState === WebSocket.OPEN) upstream.send(`${packet}`);
        else early.push(`${packet}`);
      },
      close: (client) => client.data.upstream.close(),
    },
  });
  return {
    ...hub,
    url: `http://127.0.0.1:${server.port}`,
    stop: async () => {
      await server.stop(true);
      await hub.stop();
    },
  };
}

function bentFrames(body: NonNullable<Response["body"]>, bend: (frame: string) => string[]): ReadableStream {
  let text = "";
  return body.pipeThrough(new TextDecoderStream()).pipeThrough(
    new TransformStream<string, Uint8Array>({
      transform(part, controller) {
        text += part;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          for (const frame of bend(text.slice(0, end + 2)))
            controller.enqueue(new TextEncoder().encode(frame));
          text = text.slice(end + 2);
        }
      },
    }),
  );
}
