// A TCP proxy that misbehaves on request, as networks do: cuts, freezes, refuses.
import type { Socket } from "bun";

interface Pair {
  client: Socket<Pair>;
  target?: Socket<Pair>;
  /** Bytes that came before the target was connected. */
  early: Buffer[];
  frozen: boolean;
}

export interface TcpProxy {
  readonly port: number;
  readonly connections: number;
  /** Closes every connection; new ones are refused until `restore`. */
  cut(): void;
  restore(): void;
  /** What is open stays open, but nothing passes any more. New connections work. */
  freeze(): void;
  stop(): void;
}

export async function tcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let refusing = false;
  const end = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.end();
    pair.target?.end();
  };
  const server = Bun.listen<Pair>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        const pair: Pair = { client, early: [], frozen: false };
        client.data = pair;
        pairs.add(pair);
        if (refusing) return end(pair);
        Bun.connect<Pair>({
          hostname: "127.0.0.1",
          port: targetPort,
          data: pair,
          socket: {
            open(target) {
              pair.target = target;
              for (const bytes of pair.early.splice(0)) target.write(bytes);
            },
            data(_, bytes) {
              if (!pair.frozen) pair.client.write(bytes);
            },
            close: () => end(pair),
            error: () => end(pair),
          },
        }).catch(() => end(pair));
      },
      data({ data: pair }, bytes) {
        if (pair.frozen) return;
        if (pair.target === undefined) pair.early.push(Buffer.from(bytes));
        else pair.target.write(bytes);
      },
      close: ({ data: pair }) => end(pair),
      error: ({ data: pair }) => end(pair),
    },
  });
  return {
    port: server.port,
    get connections() {
      return pairs.size;
    },
    cut: () => {
      refusing = true;
      for (const pair of [...pairs]) end(pair);
    },
    restore: () => {
      refusing = false;
    },
    freeze: () => {
      for (const pair of pairs) pair.frozen = true;
    },
    stop: () => {
      for (const pair of [...pairs]) end(pair);
      server.stop(true);
    },
  };
}
