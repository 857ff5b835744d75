// What a caller may do, and that nothing widens it: claimed roles, patterns, aliases, methods without a permission.
import { describe, expect, test } from "bun:test";
import { type CallFrom, callFrom } from "../../../test/support/rpc-call.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { RoleBasedAccess } from "./authorization.ts";

const METHOD = "rpc.v2/DocsService/Write";
const docs = (action: string) => ({ resource: "docs", action });
const write = { permission: docs("write") };

/** Undefined where the call may go on; and whether roles were asked. */
function check(from: CallFrom): { readonly refused: unknown; readonly decided: readonly boolean[] } {
  const decided: boolean[] = [];
  try {
    new RoleBasedAccess((_call, isGranted) => decided.push(isGranted)).check(
      callFrom({ method: METHOD, definition: write, ...from }),
    );
    return { refused: undefined, decided };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { refused: { code: error.code, ...error.details[0] }, decided };
  }
}
const rbac = (roles: readonly unknown[], more: Record<string, unknown> = {}) => ({
  security: { rbac_enabled: true, roles, ...more },
});
const as = (...roles: string[]) => ({ identity: { id: "anna", roles } });

/** Whether a caller with the role `role` may write. */
const may = (role: Record<string, unknown>, from: CallFrom = {}) =>
  check({ document: rbac([{ name: "role", permissions: [docs("write")], ...role }]), ...as("role"), ...from })
    .refused === undefined;

describe("roles", () => {
  test("are not asked where they are off", () => {
    expect(check({ document: {} })).toEqual({ refused: undefined, decided: [] });
  });

  test("that have the permission let in; others do not, and the error says what is missing (V38)", () => {
    const document = rbac([
      { name: "reader", permissions: [docs("read")] },
      { name: "writer", permissions: [docs("write")] },
    ]);
    expect(check({ document, ...as("reader") })).toEqual({
      refused: {
        code: 3011,
        type: "aduib.rpc/permission_denied",
        field: "permission",
        reason: "insufficient_permissions",
        metadata: { principal_id: "anna", resource: "docs", action: "write" },
      },
      decided: [false],
    });
    expect(check({ document, ...as("writer") })).toEqual({ refused: undefined, decided: [true] });
    expect(check({ document, ...as("reader", "writer") }).refused).toBeUndefined();
    for (const roles of [[], ["nobody's"], ["Writer"], ["write"]])
      expect(check({ document, ...as(...roles) }).refused).toMatchObject({ code: 3011 });
  });

  test("a method without a permission is refused, with that reason", () => {
    const document = rbac([{ name: "role", permissions: [{ resource: "*", action: "*" }] }]);
    expect(check({ document, ...as("role"), definition: {} }).refused).toEqual({
      code: 3011,
      type: "aduib.rpc/permission_denied",
      field: "permission",
      reason: "permission_not_defined",
      metadata: { principal_id: "anna", resource: null, action: null },
    });
    expect(check({ document, definition: { isOpen: true } })).toEqual({ refused: undefined, decided: [] });
  });

  test.each<[string, string, boolean]>([
    ["docs", "write", true],
    ["*", "*", true],
    ["*", "write", true],
    ["docs", "*", true],
    ["do*", "wr*", true],
    ["docs", "read", false],
    ["doc", "write", false],
    ["d.cs", "write", false],
    ["", "write", false],
  ])("a permission for %p, %p: %p", (resource, action, expected) => {
    expect(may({ permissions: [{ resource, action }] })).toBe(expected);
  });

  test("permissions are pairs: one resource with another's action is none", () => {
    expect(
      may({
        permissions: [
          { resource: "docs", action: "read" },
          { resource: "mail", action: "write" },
        ],
      }),
    ).toBe(false);
  });

  test.each<[Record<string, unknown>, boolean]>([
    [{ allowed_methods: [] }, true],
    [{ allowed_methods: ["rpc.v2/DocsService/*"] }, true],
    [{ allowed_methods: ["rpc.v2/Other/*", METHOD] }, true],
    [{ allowed_methods: ["rpc.v2/Other/*"] }, false],
    [{ allowed_methods: ["rpc.v2.DocsService.Write"] }, false],
    [{ denied_methods: [METHOD] }, false],
    [{ denied_methods: ["*/Write"] }, false],
    [{ denied_methods: ["*/Read"] }, true],
    [{ allowed_methods: ["*"], denied_methods: ["*"] }, false],
  ])("methods of a role: %p: %p", (role, expected) => {
    expect(may(role)).toBe(expected);
  });

  test("a denial of one role counts whatever another one allows", () => {
    const document = rbac([
      { name: "all", permissions: [{ resource: "*", action: "*" }] },
      { name: "denied", denied_methods: [METHOD] },
    ]);
    expect(check({ document, ...as("all") }).refused).toBeUndefined();
    expect(check({ document, ...as("all", "denied") }).refused).toMatchObject({ code: 3011 });
  });

  test("a method that is denied by one of its names is not reached by that name", () => {
    const alias = "rpc.v2/Old/Put";
    expect(may({ denied_methods: [METHOD] }, { aliasOf: alias })).toBe(false);
    expect(may({ denied_methods: [alias] }, { aliasOf: alias })).toBe(false);
    expect(may({ denied_methods: [alias] })).toBe(true);
    expect(may({ allowed_methods: [alias] }, { aliasOf: alias })).toBe(false);
  });
});

describe("who is believed", () => {
  const writer = { name: "writer", permissions: [docs("write")] };
  const claimed = (...roles: string[]) => ({
    identity: { id: "anna", roles, verified: false, auth_scheme: null },
  });

  test("roles that were not proved do not count, the super role least of all", () => {
    for (const role of ["writer", "admin"])
      expect(check({ document: rbac([writer]), ...claimed(role) }).refused).toMatchObject({ code: 3011 });
  });

  test("unless the document says so, for development", () => {
    const document = rbac([writer], { trust_metadata_identity: true });
    for (const role of ["writer", "admin"])
      expect(check({ document, ...claimed(role) }).refused).toBeUndefined();
  });

  test("who is not proved has the default role and nothing else", () => {
    const document = rbac([writer], { default_role: "writer" });
    expect(check({ document, ...claimed("none") }).refused).toBeUndefined();
    expect(check({ document, identity: { roles: [] } }).refused).toMatchObject({ code: 3011 });
  });

  test("the super role passes everything, also denials and methods without a permission; one without a name is nobody's", () => {
    const denied = { name: "admin", denied_methods: ["*"] };
    expect(check({ document: rbac([denied]), ...as("admin"), definition: {} })).toEqual({
      refused: undefined,
      decided: [true],
    });
    expect(check({ document: rbac([], { superadmin_role: "root" }), ...as("admin") }).refused).toMatchObject({
      code: 3011,
    });
    expect(check({ document: rbac([], { superadmin_role: "" }), ...as("") }).refused).toMatchObject({
      code: 3011,
    });
  });
});

describe("scopes", () => {
  const definition = { ...write, scopes: ["docs.read", "docs.write"] };
  const scoped = (...scopes: string[]) => check({ definition, identity: { roles: [], scopes } }).refused;

  test("are all needed, also where roles are off", () => {
    expect(scoped("docs.read", "docs.write", "more")).toBeUndefined();
    expect(scoped("docs.read", "docs.writer")).toEqual({
      code: 3012,
      type: "aduib.rpc/permission_denied",
      field: "scope",
      reason: "insufficient_scope",
      metadata: { required: ["docs.read", "docs.write"], missing: ["docs.write"] },
    });
  });

  test("of who was not proved are none, and roles are asked first", () => {
    const identity = { verified: false, scopes: ["docs.read", "docs.write"] };
    expect(check({ definition, identity }).refused).toMatchObject({ code: 3012 });
    expect(check({ document: rbac([]), definition, identity: { roles: [] } }).refused).toMatchObject({
      code: 3011,
    });
    expect(check({ document: rbac([]), definition, ...as("admin") }).refused).toMatchObject({ code: 3012 });
  });
});

test("anonymous methods skip all of it, by the name that was called", () => {
  const document = rbac([], { anonymous_methods: [METHOD] });
  const identity = { verified: false, roles: [] };
  const definition = { ...write, scopes: ["docs.read"] };
  expect(check({ document, identity, definition })).toEqual({ refused: undefined, decided: [] });
  expect(check({ document, identity, definition, method: "rpc.v2/Old/Put" }).refused).toMatchObject({
    code: 3011,
  });
});

describe("what is guarded whatever the document says", () => {
  const stranger = { identity: { verified: false, roles: ["admin"] } };
  const refused = (from: CallFrom, guard: "operator" | "registrar") =>
    check({ ...from, definition: { ...write, guard } }).refused !== undefined;
  const role = rbac([{ name: "writer", permissions: [docs("write")] }]);

  test.each(["operator", "registrar"] as const)("where roles are off: %s", (guard) => {
    expect(refused({ ...stranger }, guard)).toBe(true);
    expect(refused({ document: { security: { trust_metadata_identity: true } }, ...stranger }, guard)).toBe(
      true,
    );
    expect(refused({ identity: { roles: [] } }, guard)).toBe(false);
    expect(refused({ ...stranger, isLoopback: true }, guard)).toBe(false);
    const required = { security: { require_auth: true, anonymous_methods: [] } };
    expect(refused({ document: required, ...stranger, isLoopback: true }, guard)).toBe(true);
  });

  test("where they are on, an operator needs the permission also on this machine, a registrar only elsewhere", () => {
    for (const guard of ["operator", "registrar"] as const) {
      expect(refused({ document: role, ...as("writer") }, guard)).toBe(false);
      expect(refused({ document: role, ...as("reader") }, guard)).toBe(true);
      expect(refused({ document: role, ...stranger }, guard)).toBe(true);
    }
    expect(refused({ document: role, ...stranger, isLoopback: true }, "operator")).toBe(true);
    expect(refused({ document: role, ...stranger, isLoopback: true }, "registrar")).toBe(false);
  });
});
