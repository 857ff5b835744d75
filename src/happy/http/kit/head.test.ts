// HEAD says what GET would, also of an answer that is written piece by piece.
import { expect, test } from "bun:test";
import { newAccount } from "../../../../test/support/happy-client.ts";
import { testServer } from "../../../../test/support/server.ts";

test("the headers of a heavy list, a light one and a refusal are those of GET", async () => {
  const server = await testServer();
  try {
    const { call, token } = await newAccount(server.url);
    for (const tag of ["a", "b"]) await call("POST", "/v1/sessions", { tag, metadata: "m".repeat(900_000) });
    for (const path of ["/v1/sessions", "/v1/machines", "/v1/machines/none"]) {
      const [got, head] = await Promise.all(
        ["GET", "HEAD"].map(async (method) => {
          const answer = await fetch(server.url + path, {
            method,
            headers: { authorization: `Bearer ${token}` },
          });
          await answer.arrayBuffer();
          return { status: answer.status, headers: { ...Object.fromEntries(answer.headers), date: "" } };
        }),
      );
      expect(head).toEqual(got);
    }
  } finally {
    await server.stop();
  }
});
