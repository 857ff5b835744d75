// A body that comes slowly is waited for as long as it comes: Bun alone would end the request, and a client that sends its messages
// again after a lost connection would do so for ever.
import { expect, test } from "bun:test";
import { RawConnection } from "../../../../test/faults/raw-connection.ts";
import { newAccount } from "../../../../test/support/happy-client.ts";
import { testLimits } from "../../../../test/support/limits.ts";
import { needs } from "../../../../test/support/needs.ts";
import { testServer } from "../../../../test/support/server.ts";
import { readRaw } from "../../../http/request-body.ts";

const PIECE = "a".repeat(1_000);

test.each([
  ["in chunks", { "transfer-encoding": "chunked" }],
  ["with a length", { "content-length": "100000" }],
])("every piece of a body %s is told, so that time can be asked for", async (_, headers) => {
  let told = 0;
  let sent = 0;
  const body = new ReadableStream({
    pull: async (controller) => {
      await Bun.sleep(0);
      if (sent++ < 100) controller.enqueue(Buffer.from(PIECE));
      else controller.close();
    },
  });
  const request = new Request("http://x/", {
    method: "POST",
    headers: { ...headers, "content-type": "text/plain" },
    body,
  });
  const share = testLimits().bodies.share({ clientAddress: "127.0.0.1" });
  share.authenticated();
  await readRaw(request, 1_000_000, share, () => told++);
  share.release();
  expect(told).toBe(100);
});

needs.full().test(
  "messages that take 80 seconds to arrive are stored",
  async () => {
    const server = await testServer();
    try {
      const account = await newAccount(server.url);
      const { body } = await account.call("POST", "/v1/sessions", { tag: "slow", metadata: "" });
      const path = `/v3/sessions/${body.session.id}/messages`;
      const connection = await RawConnection.open(Number(new URL(server.url).port));
      const [before, after] = ['{"messages":[{"localId":"slow","content":"', '"}]}'];
      const length = before.length + 80 * PIECE.length + after.length;
      connection.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${before}`,
      );
      for (let piece = 0; piece < 80; piece++) {
        connection.write(PIECE);
        await Bun.sleep(1_000);
      }
      connection.write(after);
      await connection.until((received) => received.startsWith("HTTP/1.1 200"), 10_000);
      connection.destroy();
    } finally {
      await server.stop();
    }
  },
  120_000,
);
