// Who a client of the RPC room is taken for and what it may do, as a whole server decides it.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KEY, READER_KEY, SECRET, SECURED, served, stopServers, token } from "./support/rpc-server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
afterAll(stopServers);

const auth = (auth: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  metadata: { timestamp_ms: Date.now(), auth, ...more },
});

describe("who a caller is", () => {
  test("without an authenticator it is what it says; what is secret is nowhere to be read (V16)", async () => {
    const { call, dataDir, logged } = await served();
    const answer = await call(
      "DemoService/WhoAmI",
      null,
      {
        metadata: {
          timestamp_ms: Date.now(),
          tenant_id: "acme",
          client_id: "c1",
          auth: { scheme: "bearer", credentials: "s3cret", principal: "user-1", roles: ["reader"] },
          headers: { "X-Feature": "on", "X-Api-Key": "k" },
        },
      },
      { "x-api-key": "s3cret-too", cookie: "s3cret-cookie" },
    );
    expect(answer.status).toBe(200);
    const { tenant, principal, headers } = answer.body.result;
    expect(tenant).toBe("acme");
    expect(principal).toEqual({
      id: "user-1",
      type: "user",
      roles: ["reader"],
      scopes: [],
      verified: false,
      auth_scheme: null,
    });
    expect(headers).toMatchObject({
      "x-feature": "on",
      "x-api-key": "***REDACTED***",
      cookie: "***REDACTED***",
    });
    const kept = readdirSync(dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
    expect(logged.length).toBeGreaterThan(0);
    for (const text of [JSON.stringify(answer.body), ...logged, ...kept])
      expect(text).not.toContain("s3cret");
  });

  test("a scheme that needs a client certificate is refused without one (V37)", async () => {
    const { call } = await served();
    const answer = await call("EchoService/Echo", null, auth({ scheme: "mtls", credentials: "x" }));
    expect(answer.status).toBe(401);
    expect(answer.body.error).toMatchObject({ code: 3000, name: "UNAUTHENTICATED" });
    expect((await call("EchoService/Echo", null, auth({ scheme: "basic" }))).body.error.code).toBe(2003);
  });

  test("where it must be proved, nothing is 3000, wrong is 3001, over is 3002, and nobody learns which methods there are", async () => {
    const { call } = await served(SECURED);
    const codes = async (method: string, headers: Record<string, string> = {}) => {
      const { status, body } = await call(method, null, {}, headers);
      return [status, body.error?.code];
    };
    for (const method of ["EchoService/Echo", "NopeService/Run", "EchoService/Nope"]) {
      expect(await codes(method)).toEqual([401, 3000]);
      expect(await codes(method, { "x-api-key": "wrong" })).toEqual([401, 3001]);
      expect(await codes(method, { authorization: `Bearer ${token({ sub: "a", exp: 1 })}` })).toEqual([
        401, 3002,
      ]);
    }
    expect(await codes("NopeService/Run", { "x-api-key": KEY })).toEqual([404, 4002]);
    expect(await codes("EchoService/Echo", { "x-api-key": KEY })).toEqual([200, undefined]);
  });

  test("who is bound to a tenant calls for no other", async () => {
    const { call } = await served({ security: { jwt: { secret: SECRET } } });
    const headers = { authorization: `Bearer ${token({ sub: "anna", tenant: "acme", scope: "a b" })}` };
    const own = await call("DemoService/WhoAmI", null, {}, headers);
    expect(own.body.result).toMatchObject({
      tenant: "acme",
      principal: { id: "anna", verified: true, auth_scheme: "bearer", scopes: ["a", "b"] },
    });
    const other = await call(
      "EchoService/Echo",
      null,
      { metadata: { timestamp_ms: 1, tenant_id: "other" } },
      headers,
    );
    expect([other.status, other.body.error.code]).toEqual([403, 3010]);
    expect(
      (await call("EchoService/Echo", null, {}, { ...headers, "x-tenant-id": "other" })).body.error.code,
    ).toBe(3010);
  });
});

describe("what a caller may do", () => {
  test("is what its roles permit (V38)", async () => {
    const { call } = await served(SECURED);
    const write = await call("DocsService/Write", null, {}, { "x-api-key": READER_KEY });
    expect(write.status).toBe(403);
    expect(write.body.error).toMatchObject({
      code: 3011,
      details: [
        {
          type: "aduib.rpc/permission_denied",
          field: "permission",
          reason: "insufficient_permissions",
          metadata: { principal_id: "reader", resource: "docs", action: "write" },
        },
      ],
    });
    const read = await call("DocsService/Read", null, {}, { "x-api-key": READER_KEY });
    expect([read.status, read.body.error.code]).toEqual([403, 3012]);
    expect((await call("DocsService/Read", null, {}, { "x-api-key": KEY })).body.result).toEqual({
      read: true,
    });
    expect((await call("DocsService/Write", null, {}, { "x-api-key": KEY })).body.result).toEqual({
      written: true,
    });
    const denied = { authorization: `Bearer ${token({ sub: "anna", roles: ["everything"] })}` };
    expect((await call("DocsService/Write", null, {}, denied)).body.error.code).toBe(3011);
    // No permission is declared for it.
    expect((await call("EchoService/Echo", null, {}, denied)).body.error.details[0].reason).toBe(
      "permission_not_defined",
    );
  });

  test("changes with the document, for the next request", async () => {
    const { call, change } = await served({ security: { jwt: { secret: SECRET } } });
    const headers = { authorization: `Bearer ${token({ sub: "anna", roles: ["reader"] })}` };
    expect((await call("DocsService/Write", null, {}, headers)).status).toBe(200);
    change(SECURED);
    expect((await call("DocsService/Write", null, {}, headers)).body.error.code).toBe(3011);
  });
});

test("a document that nobody may start with ends the start with a sentence", async () => {
  await expect(served({ security: { rbac_enabled: true } })).rejects.toThrow("security.rbac_enabled");
});
