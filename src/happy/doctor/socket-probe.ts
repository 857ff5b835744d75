// A connection as the app holds it: Engine.IO over a WebSocket at /v1/updates/, in the namespace that Roost keeps for this purpose,
// silent but for the pings of every 15 s.

export interface SocketProbe {
  /** Resolves when the connection ends, with the reason. */
  readonly ended: Promise<string>;
  /** Asks for the doctor's place. False when this server has none, or none that is free. */
  join(): Promise<boolean>;
  /** Pings that were answered so far. */
  readonly pings: number;
  close(): void;
}

const OPEN_MS = 10_000;
const JOIN_MS = 5_000;
const NAMESPACE = "/doctor";

/** @throws Error that says what came instead of an open connection. */
export async function openSocket(base: string): Promise<SocketProbe> {
  const url = `${base.replace(/^http/, "ws")}/v1/updates/?EIO=4&transport=websocket`;
  const socket = new WebSocket(url, { tls: { rejectUnauthorized: false } });
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const joined = Promise.withResolvers<boolean>();
  let pings = 0;
  const timer = setTimeout(() => opened.reject(new Error("no answer within 10 s")), OPEN_MS);
  socket.addEventListener("message", ({ data }) => {
    const packet = String(data);
    if (packet.startsWith("0{")) opened.resolve();
    if (packet.startsWith(`40${NAMESPACE}`)) joined.resolve(true);
    if (packet.startsWith(`44${NAMESPACE}`)) joined.resolve(false);
    if (packet !== "2") return;
    pings++;
    socket.send("3");
  });
  socket.addEventListener("error", () => opened.reject(new Error("the upgrade was refused")));
  socket.addEventListener("close", ({ code, reason }) => {
    const why = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
    opened.reject(new Error(`the connection was closed at once (${why})`));
    joined.resolve(false);
    ended.resolve(why);
  });
  try {
    await opened.promise;
  } catch (error) {
    socket.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    ended: ended.promise,
    get pings() {
      return pings;
    },
    join: async () => {
      socket.send(`40${NAMESPACE},`);
      const late = setTimeout(() => joined.resolve(false), JOIN_MS);
      const there = await joined.promise;
      clearTimeout(late);
      return there;
    },
    close: () => socket.close(),
  };
}
