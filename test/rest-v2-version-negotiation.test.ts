// Which version of the protocol a call speaks, what that version has, and what is told of what goes away (contract 6, 15; V11 to V13, V36).
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Served, served, stopServers } from "./support/rpc-server.ts";

setDefaultTimeout(30_000);
const BOTH = { protocol: { supported_versions: ["2.0", "2.1"] } };
let one: Served;
let both: Served;
beforeAll(async () => {
  one = await served();
  both = await served(BOTH);
});
afterAll(stopServers);

const offering = (supported_versions: readonly string[]) => ({ supported_versions });

describe("the version", () => {
  test("is the highest that both have (V11)", async () => {
    const { status, body, headers } = await both.call(
      "EchoService/Echo",
      null,
      offering(["1.0", "2.0", "2.1"]),
    );
    expect({ status, version: body.negotiated_version }).toEqual({ status: 200, version: "2.1" });
    expect(headers.get("x-aduib-negotiated-version")).toBe("2.1");
  });

  test("of nothing in common is 1001, and no version is told (V12)", async () => {
    const { status, body, headers } = await one.call("EchoService/Echo", null, offering(["3.0"]));
    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      code: 1001,
      name: "UNSUPPORTED_VERSION",
      details: [
        { type: "aduib.rpc/UnsupportedVersion", metadata: { requested: ["3.0"], supported: ["2.0"] } },
      ],
    });
    expect(body).not.toHaveProperty("negotiated_version");
    expect(headers.get("x-aduib-negotiated-version")).toBeNull();
    const spoken = await one.call("EchoService/Echo", null, { aduib_rpc: "1.0" });
    expect(spoken).toMatchObject({ status: 400, body: { error: { code: 1001 } } });
    // A list counts before what is spoken.
    const listed = await one.call("EchoService/Echo", null, {
      aduib_rpc: "3.0",
      ...offering(["3.0", "2.0"]),
    });
    expect(listed).toMatchObject({ status: 200, body: { negotiated_version: "2.0" } });
  });

  test("decides which methods there are (V13)", async () => {
    expect(await both.call("NewService/Only21", null, offering(["2.0"]))).toMatchObject({
      status: 404,
      body: {
        error: {
          code: 4001,
          details: [{ type: "aduib.rpc/MethodNotFound", metadata: { available_in: ["2.1"] } }],
        },
      },
    });
    expect(await both.call("NewService/Only21", null, offering(["2.0", "2.1"]))).toMatchObject({
      status: 200,
      body: { result: { ok: true } },
    });
  });
});

describe("a method that goes away (V36)", () => {
  const replacement = "rpc.v2/EchoService/Echo";

  test("answers, and says what comes instead", async () => {
    const { status, body, headers } = await one.call("LegacyService/Old");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      result: { old: true },
      metadata: { headers: { deprecation: "true", replacement } },
    });
    expect(headers.get("deprecation")).toBe("true");
    expect(headers.get("link")).toBe(`<${replacement}>; rel="successor-version"`);
  });

  test("is gone where the document says so, and silent where it says that", async () => {
    const strict = await served({ registry: { deprecated_policy: "error" } });
    expect(await strict.call("LegacyService/Old")).toMatchObject({
      status: 410,
      body: {
        error: { code: 4020, details: [{ type: "aduib.rpc/MethodDeprecated", metadata: { replacement } }] },
      },
    });
    strict.change({ registry: { deprecated_policy: "ignore" } });
    const { status, headers } = await strict.call("LegacyService/Old");
    expect({ status, deprecation: headers.get("deprecation") }).toEqual({ status: 200, deprecation: null });
  });
});
