// The frames hub under load: one room of a thousand clients, measured from a member's message to the last member's ear.
import type { Socket } from "bun";
import { median, percentile, type Result } from "./figures.ts";
import { type ServerProcess, serverProcess } from "./server-process.ts";

const CLIENTS = 1_000;
const ROOM = "bench";
const BURST = 500;
const PACED_PER_SECOND = 20;
const PACED = 200;

/** Deliveries per second in a burst, and how late the last of a hundred deliveries is at a rate that people produce. */
export async function framesBroadcast(): Promise<Result[]> {
  const server = await serverProcess({
    flags: ["--frames-enabled", "--auth-enabled", "false", "--hub-auto-create-rooms", "true"],
  });
  try {
    const crowd = await Crowd.gather(server);
    const residentMb = server.residentMb();
    const burst = await crowd.run(BURST, 0);
    const paced = await crowd.run(PACED, 1_000 / PACED_PER_SECOND);
    crowd.close();
    return [
      {
        name: `frames: broadcast to ${CLIENTS} clients`,
        figures: {
          deliveries_per_s: (BURST * CLIENTS) / (burst.elapsedMs / 1_000),
          p50_ms: median(paced.latenciesMs),
          p99_ms: percentile(paced.latenciesMs, 0.99),
        },
      },
      { name: `frames: ${CLIENTS} clients connected`, figures: { resident_mb: residentMb } },
    ];
  } finally {
    await server.stop();
  }
}

interface Run {
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
}

/** Counts frames by their length, which is the same for all: the listeners share the cores with the server and must cost little. */
class Crowd {
  readonly #listeners: Socket<Ear>[] = [];
  #frameBytes = Number.NaN;
  #sentAt: number[] = [];
  #latencies: number[] = [];
  #left = 0;
  #done = Promise.withResolvers<void>();

  private constructor(private readonly sender: WebSocket) {}

  static async gather(server: ServerProcess): Promise<Crowd> {
    const sender = new WebSocket(`${server.url.replace(/^http/, "ws")}/ws?client_id=sender`);
    await new Promise((resolve) => {
      sender.onopen = resolve;
    });
    const joined = new Promise((resolve) => {
      sender.onmessage = resolve;
    });
    sender.send(JSON.stringify({ message_id: 1, message_type: "join_room", data: { room_id: ROOM } }));
    await joined;
    const crowd = new Crowd(sender);
    for (let begin = 0; begin < CLIENTS; begin += 100) {
      const batch = Array.from({ length: 100 }, (_, index) => crowd.#listen(server, `c${begin + index}`));
      crowd.#listeners.push(...(await Promise.all(batch)));
    }
    return crowd;
  }

  async run(messages: number, pauseMs: number): Promise<Run> {
    this.#sentAt = [];
    this.#latencies = [];
    this.#left = messages * CLIENTS;
    this.#done = Promise.withResolvers();
    for (const { data } of this.#listeners) Object.assign(data, { bytes: 0, frames: 0 });
    const began = performance.now();
    for (let index = 0; index < messages; index++) {
      this.#sentAt.push(performance.now());
      const data = { room_id: ROOM, content: String(index).padStart(6, "0") };
      this.sender.send(JSON.stringify({ message_id: 2, message_type: "room_message", data }));
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
    await this.#done.promise;
    return { elapsedMs: performance.now() - began, latenciesMs: this.#latencies };
  }

  close(): void {
    this.sender.close();
    for (const listener of this.#listeners) listener.end();
  }

  #listen(server: ServerProcess, id: string): Promise<Socket<Ear>> {
    const { hostname, port } = new URL(server.url);
    const joined = Promise.withResolvers<Socket<Ear>>();
    return Bun.connect<Ear>({
      hostname,
      port: Number(port),
      data: { bytes: 0, frames: 0, upgraded: false, joined: false },
      socket: {
        open: (socket) => void socket.write(upgrade(id)),
        data: (socket, bytes) => {
          const { data } = socket;
          if (data.joined) this.#count(data, bytes);
          else if (data.upgraded) {
            data.joined = true;
            joined.resolve(socket);
          } else {
            data.upgraded = true;
            socket.write(masked(JSON.stringify({ message_type: "join_room", data: { room_id: ROOM } })));
          }
        },
      },
    }).then(() => joined.promise);
  }

  #count(ear: Ear, bytes: Buffer): void {
    // A frame of more than 125 bytes has its length in bytes 2 and 3.
    if (Number.isNaN(this.#frameBytes)) this.#frameBytes = 4 + bytes.readUInt16BE(2);
    ear.bytes += bytes.length;
    const frames = Math.floor(ear.bytes / this.#frameBytes);
    const now = performance.now();
    for (; ear.frames < frames; ear.frames++) {
      this.#latencies.push(now - (this.#sentAt[ear.frames] ?? Number.NaN));
      if (--this.#left === 0) this.#done.resolve();
    }
  }
}

interface Ear {
  bytes: number;
  frames: number;
  upgraded: boolean;
  joined: boolean;
}

const upgrade = (id: string) =>
  `GET /ws?client_id=${id} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

/** A client's text frame of at most 125 bytes; a mask of zeros changes nothing. */
function masked(text: string): Uint8Array {
  return Buffer.concat([Uint8Array.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}
