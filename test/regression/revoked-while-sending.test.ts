// A request whose body is still on its way when its token is revoked must not be carried out: with a body held open, a leaked
// token could otherwise approve a pairing of its own after "revoke all".
import { expect, test } from "bun:test";
import { join } from "node:path";
import nacl from "tweetnacl";
import { call, newAccount } from "../support/happy-client.ts";
import { testServer } from "../support/server.ts";

test("a body that ends after the revocation is refused", async () => {
  const server = await testServer();
  try {
    const account = await newAccount(server.url);
    const publicKey = Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
    await call(server.url, undefined, "POST", "/v1/auth/request", { publicKey });
    const hold = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const text = JSON.stringify({ publicKey, response: "c3RvbGVu" });
    const body = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        controller.enqueue(new TextEncoder().encode(text.slice(0, 5)));
        begun.resolve();
        await hold.promise;
        controller.enqueue(new TextEncoder().encode(text.slice(5)));
        controller.close();
      },
    });
    const held = fetch(`${server.url}/v1/auth/response`, {
      method: "POST",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/json" },
      body,
    });
    await begun.promise;
    // The server has begun to read when it has answered something that was asked later.
    await account.call("GET", "/v1/account/settings");
    const revoked = await fetch(`http://localhost/accounts/${account.id}/revoke`, {
      method: "POST",
      unix: join(server.dataDir, "roost.sock"),
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(revoked.status).toBe(200);
    hold.resolve();
    expect((await held).status).toBe(401);
    const poll = await call(server.url, undefined, "POST", "/v1/auth/request", { publicKey });
    expect(poll.body).toEqual({ state: "requested" });
  } finally {
    await server.stop();
  }
});
