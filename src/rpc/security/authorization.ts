// Stage 11: what a caller may do (contract 9.3). A denied method is denied whatever else a role says; only the super role passes everything.
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { Authorization } from "../pipeline/parts.ts";
import type { Permission } from "../registry/definition.ts";
import { type RpcError, rpcError } from "../wire/rpc-error.ts";
import { isAnonymousMethod } from "./authentication.ts";
import { matches } from "./glob.ts";

type Role = RpcDocument["security"]["roles"][number];

export class RoleBasedAccess implements Authorization {
  constructor(private readonly decided: (call: Call, isGranted: boolean) => void) {}

  /** @throws RpcError 3011, 3012 */
  check(call: Call): void {
    if (isAnonymousMethod(call)) return;
    if (call.config.security.rbac_enabled && call.definition.isOpen !== true) {
      const refused = refusal(call);
      this.decided(call, refused === undefined);
      if (refused !== undefined) throw refused;
    }
    checkScopes(call);
  }
}

function checkScopes({ definition: { scopes: required = [] }, identity }: Call): void {
  if (required.length === 0) return;
  const has = identity.verified ? identity.scopes : [];
  const missing = required.filter((scope) => !has.includes(scope));
  if (missing.length > 0)
    throw rpcError(3012, "permission_denied", "insufficient_scope", {
      field: "scope",
      metadata: { required, missing },
    });
}

function refusal({
  config: { security },
  identity,
  definition,
  methodName,
  aliasOf,
}: Call): RpcError | undefined {
  const isBelieved = identity.verified || security.trust_metadata_identity;
  const names = isBelieved ? identity.roles : [security.default_role];
  // A document without a name for it has no super role.
  if (security.superadmin_role !== "" && names.includes(security.superadmin_role)) return undefined;
  const { permission } = definition;
  const roles = security.roles.filter(({ name }) => names.includes(name));
  const refused = (reason: string) =>
    rpcError(3011, "permission_denied", reason, {
      field: "permission",
      metadata: {
        principal_id: identity.id,
        resource: permission?.resource ?? null,
        action: permission?.action ?? null,
      },
    });
  if (permission === undefined) return refused("permission_not_defined");
  // Who may not call it by one of its names may not call it by that name.
  const called = aliasOf === undefined ? [methodName] : [methodName, aliasOf];
  const isDenied = roles.some(({ denied_methods }) =>
    denied_methods.some((glob) => called.some((name) => matches(glob, name))),
  );
  return !isDenied && roles.some((role) => allows(role, methodName, permission))
    ? undefined
    : refused("insufficient_permissions");
}

function allows(
  { permissions, allowed_methods }: Role,
  method: string,
  { resource, action }: Permission,
): boolean {
  const isCalled = allowed_methods.length === 0 || allowed_methods.some((glob) => matches(glob, method));
  return (
    isCalled && permissions.some((own) => matches(own.resource, resource) && matches(own.action, action))
  );
}
