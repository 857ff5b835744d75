// What reveals a message seq N never leaves the server before the announcements of every lower seq: a CLI takes the highest seq of
// its own POST as its cursor, and whatever is announced below it later is lost to it (realtime contract 5). No gap, no double.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appendMessages } from "../../src/happy/store/messages.ts";
import { migrations } from "../../src/happy/store/migrations.ts";
import { createLog } from "../../src/observability/log.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { RawConnection } from "../faults/raw-connection.ts";
import { type ServerProcess, startProcess } from "../faults/server-process.ts";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const HTTP_SENDERS = 3;
const SOCKET_SENDERS = 2;
const LISTENERS = 4;
const ROUNDS = 120;
const BOUND_MS = 60_000;

const count = (to: number, from = 1) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

for (const commit of ["pipelined", "blocking"] as const)
  describe(`commits are ${commit}:`, () => {
    const folder = mkdtempSync(join(tmpdir(), "roost-order-"));
    let server: ServerProcess;
    beforeAll(async () => {
      const env = { ROOST_LOG_LEVEL: "warn", ROOST_REGISTRATION: "open", ROOST_COMMIT: commit };
      server = await startProcess({ dataDir: join(folder, "data"), env });
    }, 30_000);
    afterAll(async () => {
      await server?.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    });

    async function newSession(account: Account, tag: string): Promise<string> {
      return (await account.call("POST", "/v1/sessions", { tag, metadata: "m" })).body.session.id;
    }

    /** Message seqs in the order in which they were heard. */
    function heardSeqs(listener: Listener): number[] {
      return listener.updates.flatMap(({ body }) =>
        body.t === "new-message" ? [body.message.seq as number] : [],
      );
    }

    /**
     * The system does not say which of two connections got its bytes first. What had been sent to the other before the answer was sent
     * is read within these turns of the event loop.
     */
    async function twoTurns(): Promise<void> {
      for (const _ of [1, 2]) await new Promise((resolve) => setImmediate(resolve));
    }

    /** The HTTP side of a CLI, on the same event loop as its socket, so that what arrives first is seen first. */
    class Requests {
      #answers = 0;

      private constructor(
        private readonly connection: RawConnection,
        private readonly token: string,
      ) {}

      static async open(token: string): Promise<Requests> {
        return new Requests(await RawConnection.open(server.port), token);
      }

      /** The answer's body, as soon as its last byte is there. */
      async call(method: string, path: string, body = ""): Promise<{ messages: { seq: number }[] }> {
        this.connection.write(
          `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${this.token}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
        this.#answers++;
        let answer = "";
        await this.connection.until((received) => {
          const bodies = received.split(/HTTP\/1\.1 200 OK\r\n/).slice(1);
          answer = bodies[this.#answers - 1]?.split("\r\n\r\n")[1] ?? "";
          return bodies.length === this.#answers && answer.endsWith("}");
        }, BOUND_MS);
        return JSON.parse(answer);
      }

      close(): void {
        this.connection.destroy();
      }
    }

    test("in the store: nobody is told `stored` before everything lower was announced", async () => {
      const database = openDatabase({
        path: join(folder, "order.db"),
        migrations,
        log: createLog("silent"),
        commit,
      });
      database.writer.run((db) => {
        db.run(
          "INSERT INTO accounts (pk, id, public_key, created_at, updated_at) VALUES (1, 'me', 'k', 1, 1)",
        );
        db.run(`INSERT INTO sessions (pk, id, account_pk, tag, metadata, last_active_at, created_at, updated_at)
            VALUES (1, 's', 1, 't', 'm', 1, 1, 1)`);
      });
      await database.writer.barrier();
      const announced: number[] = [];
      const early: { told: number; announced: number }[] = [];
      const batches = count(300).map(async (number) => {
        // Some in one turn, some in the next, some twice.
        if (number % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
        const batch = count(1 + (number % 4)).map((part) => ({
          content: "c",
          localId: `${number % 250}-${part}`,
        }));
        const appended = await appendMessages(database, "me", "s", batch, ({ created }) => {
          for (const { row } of created) announced.push(row.seq);
        });
        const told = Math.max(...(appended?.all ?? []).map(({ seq }) => seq));
        if ((announced.at(-1) ?? 0) < told) early.push({ told, announced: announced.at(-1) ?? 0 });
      });
      await Promise.all(batches);
      await database.close();
      expect(early).toEqual([]);
      expect(announced).toEqual(count(announced.length));
      expect(announced.length).toBeGreaterThan(500);
    });

    test(
      "on the wire: many senders over HTTP and sockets, every listener hears 1, 2, 3 and so on, and no answer comes too early",
      async () => {
        const account = await newAccount(server.url);
        const sid = await newSession(account, "order");
        const toSession = { clientType: "session-scoped", sessionId: sid };
        const listeners = await Promise.all(
          count(LISTENERS).map((number) => account.connect(number % 2 === 0 ? toSession : undefined)),
        );

        const early: { revealed: number; heard: number | undefined }[] = [];
        const sent = new Set<string>();
        const compose = (sender: string, round: number) => {
          // Every fifth is sent by all senders: only the first of them counts.
          const localId = round % 5 === 0 ? `all-${round}` : `${sender}-${round}`;
          sent.add(localId);
          return { content: `from ${sender}`, localId };
        };

        const clis = count(HTTP_SENDERS).map(async (number) => {
          const [socket, requests] = [await account.connect(toSession), await Requests.open(account.token)];
          for (const round of count(ROUNDS)) {
            const messages = [compose(`http${number}`, round), compose(`http${number}`, round + 1_000)];
            const path = `/v3/sessions/${sid}/messages`;
            const answer =
              round % 3 === 0
                ? await requests.call("GET", `${path}?before_seq=2147483647&limit=3`)
                : await requests.call("POST", path, JSON.stringify({ messages }));
            if (round % 3 === 0) for (const { localId } of messages) sent.delete(localId);
            // Nobody is skipped for HTTP: the cursor rule holds for one's own messages too.
            const revealed = Math.max(...answer.messages.map(({ seq }) => seq));
            await twoTurns();
            const heard = heardSeqs(socket).at(-1) ?? 0;
            if (heard < revealed) early.push({ revealed, heard });
          }
          requests.close();
          return socket;
        });
        const talkers = count(SOCKET_SENDERS).map(async (number) => {
          const socket = await account.connect(toSession);
          for (const round of count(ROUNDS)) {
            const { content, localId } = compose(`socket${number}`, round);
            socket.socket.emit("message", { sid, message: content, localId });
            if (round % 10 === 0) await socket.settled();
          }
          await socket.settled();
          return socket;
        });
        const [cliSockets, talkerSockets] = [await Promise.all(clis), await Promise.all(talkers)];

        const stored = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500`);
        const rest = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500&after_seq=500`);
        const messages: { seq: number; localId: string; content: { c: string } }[] = [
          ...stored.body.messages,
          ...rest.body.messages,
        ];
        const everything = count(messages.length);
        expect(messages.map(({ seq }) => seq)).toEqual(everything);
        expect(new Set(messages.map(({ localId }) => localId)).size).toBe(messages.length);

        for (const listener of listeners) {
          await listener.settled();
          expect(heardSeqs(listener)).toEqual(everything);
          const updateSeqs = listener.updates.map(({ seq }) => seq as number);
          // Duplicates burn nothing: the account's own numbers have no holes either.
          expect(updateSeqs).toEqual(count(updateSeqs.at(-1) ?? 0, updateSeqs[0]));
        }
        for (const socket of cliSockets) {
          await socket.settled();
          expect(heardSeqs(socket)).toEqual(everything.slice(everything.indexOf(heardSeqs(socket)[0] ?? 1)));
        }
        for (const [index, socket] of talkerSockets.entries()) {
          // Only what it sent itself is not echoed.
          const own = messages
            .filter(({ content }) => content.c === `from socket${index + 1}`)
            .map(({ seq }) => seq);
          const heard = heardSeqs(socket);
          const expected = everything.filter((seq) => seq >= (heard[0] ?? 1) && !own.includes(seq));
          expect(heard).toEqual(expected);
          expect(own.length).toBeGreaterThan(0);
        }
        expect(early).toEqual([]);
        for (const socket of [...listeners, ...cliSockets, ...talkerSockets]) socket.close();
      },
      BOUND_MS,
    );

    test("the same localId over HTTP and two sockets at once is stored and announced once, and burns no number", async () => {
      const account = await newAccount(server.url);
      const sid = await newSession(account, "once");
      const [phone, first, second] = [
        await account.connect(),
        await account.connect(),
        await account.connect(),
      ];
      for (const localId of count(50).map((number) => `same-${number}`)) {
        first.socket.emit("message", { sid, message: "socket", localId });
        second.socket.emit("message", { sid, message: "socket", localId });
        const path = `/v3/sessions/${sid}/messages`;
        const answer = await account.call("POST", path, {
          messages: [
            { content: "http", localId },
            { content: "http again", localId },
          ],
        });
        expect(answer.body.messages.map((message: { localId: string }) => message.localId)).toEqual([
          localId,
        ]);
      }
      for (const socket of [first, second, phone]) await socket.settled();
      expect(heardSeqs(phone)).toEqual(count(50));
      expect(phone.updates.map(({ seq }) => seq)).toEqual(count(51, 2));
      const session = await account.call("GET", "/v1/sessions");
      expect(session.body.sessions[0].seq).toBe(50);
      for (const socket of [first, second, phone]) socket.close();
    });

    test("changes of a session keep their place among its messages", async () => {
      const account = await newAccount(server.url);
      const sid = await newSession(account, "mixed");
      const phone = await account.connect();
      const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
      const acks: Promise<{ result: string }>[] = [];
      for (const version of count(40, 0)) {
        cli.socket.emit("message", { sid, message: `m${version}`, localId: `${version}` });
        acks.push(cli.ask("update-metadata", { sid, metadata: `v${version}`, expectedVersion: version }));
      }
      expect(new Set((await Promise.all(acks)).map(({ result }) => result))).toEqual(new Set(["success"]));
      await phone.settled();
      const told = phone.updates.map(({ seq, body }) => [
        seq,
        body.t,
        body.message?.content.c ?? body.metadata?.value,
      ]);
      expect(told).toEqual(
        count(40, 0).flatMap((version) => [
          [2 + 2 * version, "new-message", `m${version}`],
          [3 + 2 * version, "update-session", `v${version}`],
        ]),
      );
      phone.close();
      cli.close();
    });
  });
