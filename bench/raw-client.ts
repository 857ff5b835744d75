// A Socket.IO client by hand: as little work as possible for each frame, so that the bench measures the server and not its clients.

export interface RawClient {
  send(event: string, payload: unknown, ack?: (answer: unknown) => void): void;
  close(): void;
}

export interface RawHandlers {
  /** The text of an event frame after `42`, that is a JSON array. */
  onEvent?: (json: string) => void;
  /** Answers a request of the server that wants an acknowledgement. */
  onRequest?: (json: string) => unknown;
  /** `/` without it. */
  namespace?: string;
}

/** Connects to a namespace of `path` and resolves when accepted. */
export function rawClient(
  url: string,
  path: string,
  auth: Record<string, unknown>,
  { onEvent, onRequest, namespace }: RawHandlers = {},
): Promise<RawClient> {
  // Compression would measure zlib.
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}${path}?EIO=4&transport=websocket`, {
    perMessageDeflate: false,
  });
  const name = namespace === undefined ? "" : `${namespace},`;
  const acks = new Map<number, (answer: unknown) => void>();
  let nextAck = 0;
  const client: RawClient = {
    send: (event, payload, ack) => {
      let id = "";
      if (ack !== undefined) {
        id = String(nextAck);
        acks.set(nextAck++, ack);
      }
      const args = payload === undefined ? [event] : [event, payload];
      socket.send(`42${name}${id}${JSON.stringify(args)}`);
    },
    close: () => socket.close(),
  };
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("the socket failed"));
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      if (data === "2") socket.send("3");
      else if (data.startsWith("0")) socket.send(`40${name}${JSON.stringify(auth)}`);
      else if (data.startsWith("40")) resolve(client);
      else if (data.startsWith("44")) reject(new Error(data));
      else if (data.startsWith("43")) {
        const at = data.indexOf("[");
        const id = Number(data.slice(2 + name.length, at));
        acks.get(id)?.(JSON.parse(data.slice(at))[0]);
        acks.delete(id);
      } else if (data.startsWith("42")) {
        const at = data.indexOf("[");
        if (at > 2 + name.length) {
          const answer = onRequest?.(data.slice(at));
          socket.send(`43${data.slice(2, at)}${JSON.stringify([answer])}`);
        } else onEvent?.(data.slice(at));
      }
    };
  });
}
