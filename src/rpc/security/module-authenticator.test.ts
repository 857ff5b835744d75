// Authenticators that modules bring: what they are asked, and that none of them lets in by a mistake.
import { describe, expect, test } from "bun:test";
import { both, identify, KEY } from "../../../test/support/rpc-identify.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { Authenticate } from "./module-authenticator.ts";

describe("authenticators of modules", () => {
  const required = { security: { require_auth: true } };

  test("are asked with everything that was presented, before the built-in ones", async () => {
    const seen: unknown[] = [];
    const known = await identify(
      {
        document: both,
        auth: { scheme: "api_key", credentials: KEY },
        headers: { cookie: "c=1" },
        certificate: { common_name: "cn" },
      },
      (input) => {
        seen.push(
          input.scheme,
          input.credentials,
          input.headers.get("cookie"),
          input.certificate?.common_name,
          input.method,
        );
        return { id: "from-module", roles: ["r"], scopes: ["s"], tenant: "t", type: "service" };
      },
    );
    expect(seen).toEqual(["api_key", KEY, "c=1", "cn", "rpc.v2/EchoService/Echo"]);
    expect(known).toEqual({
      id: "from-module",
      type: "service",
      roles: ["r"],
      scopes: ["s"],
      verified: true,
      auth_scheme: "api_key",
      tenant: "t",
    });
  });

  test("who knows nothing leaves it to the next, and to the built-in ones", async () => {
    const nothing: Authenticate[] = [() => null, async () => undefined];
    expect(await identify({ document: both, headers: { "x-api-key": KEY } }, ...nothing)).toMatchObject({
      id: "robot",
    });
    expect(await identify({ document: required }, ...nothing)).toBe(3000);
    expect(await identify({ headers: { "x-api-key": KEY } }, ...nothing)).toBe(3001);
    expect(await identify({}, ...nothing)).toMatchObject({ id: "anonymous" });
    expect(await identify({}, ...nothing, () => ({ id: "last" }))).toMatchObject({
      id: "last",
      type: "user",
      roles: [],
      verified: true,
    });
  });

  test("refuse with a code, as an error of their own", async () => {
    for (const code of [3000, 3001, 3002])
      expect(
        await identify({ headers: { "x-api-key": "k" } }, () =>
          Promise.reject(Object.assign(new Error("no"), { code })),
        ),
      ).toBe(code);
    expect(
      await identify({}, () => {
        throw new RpcError(6002);
      }),
    ).toBe(6002);
  });

  test.each<[string, unknown]>([
    ["true", true],
    ["a text", "anna"],
    ["nobody", {}],
    ["an empty name", { id: "" }],
    ["a name that is a number", { id: 5 }],
    ["roles as text", { id: "a", roles: "admin" }],
    ["a tenant that is none", { id: "a", tenant: "a b" }],
    ["a list", [{ id: "a" }]],
  ])("who answers %s lets nobody in", async (_name, answer) => {
    await expect(identify({}, () => answer)).rejects.toThrow();
  });

  test("who throws what means nothing lets nobody in either", async () => {
    await expect(
      identify({}, () => {
        throw new Error("broken");
      }),
    ).rejects.toThrow("broken");
    await expect(
      identify({}, () => Promise.reject(Object.assign(new Error("odd"), { code: 4000 }))),
    ).rejects.toThrow("odd");
  });

  test("who calls somebody anonymous has proved nothing", async () => {
    const guest: Authenticate = () => ({ id: "guest", type: "anonymous", roles: ["admin"] });
    expect(await identify({}, guest)).toMatchObject({ id: "guest", verified: false });
    expect(await identify({ document: required }, guest)).toBe(3000);
    expect(await identify({ certificate: { common_name: "cn" } }, guest)).toMatchObject({
      id: "cn",
      verified: true,
    });
  });

  test("who does not answer holds nobody longer than the call may take", async () => {
    const began = performance.now();
    expect(await identify({ qos: { timeout_ms: 50 } }, () => new Promise(() => {}))).toBe(5003);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
