// Stage 11: what a caller may do (contract 9.3). A denied method is denied whatever else a role says; only the super role passes everything.
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { Authorization } from "../pipeline/parts.ts";
import type { Principal } from "../registry/call-context.ts";
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
    if (isGuardedFrom(call)) throw denied(call, "insufficient_permissions");
    if (areRolesAsked(call)) {
      const refused = refusal(call);
      this.decided(call, refused === undefined);
      if (refused !== undefined) throw refused;
    }
    checkScopes(call);
  }
}

/** A program on this machine, where nobody has to prove anything. */
const isLocal = ({ config, incoming }: Call): boolean =>
  incoming.peer.isLoopback && !config.security.require_auth;

function areRolesAsked(call: Call): boolean {
  const { isOpen, guard } = call.definition;
  if (!call.config.security.rbac_enabled || isOpen === true) return false;
  return !(guard === "registrar" && isLocal(call));
}

function isGuardedFrom(call: Call): boolean {
  const { guard } = call.definition;
  if (guard === undefined || call.identity.verified || isLocal(call)) return false;
  return guard === "registrar" || !call.config.security.rbac_enabled;
}

const denied = ({ identity, definition: { permission } }: Call, reason: string): RpcError =>
  rpcError(3011, "permission_denied", reason, {
    field: "permission",
    metadata: {
      principal_id: identity.id,
      resource: permission?.resource ?? null,
      action: permission?.action ?? null,
    },
  });

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

/** Whether roles give a principal something beside what its method needs. */
export function permits(
  { rbac_enabled, trust_metadata_identity, ...security }: RpcDocument["security"],
  { verified, roles: own }: Principal,
  permission: Permission,
  methods: readonly string[],
): boolean {
  if (!rbac_enabled) return true;
  const names = verified || trust_metadata_identity ? own : [security.default_role];
  // A document without a name for it has no super role.
  if (security.superadmin_role !== "" && names.includes(security.superadmin_role)) return true;
  const roles = security.roles.filter(({ name }) => names.includes(name));
  // Who may not call it by one of its names may not call it by that name.
  const isDenied = roles.some(({ denied_methods }) =>
    denied_methods.some((glob) => methods.some((name) => matches(glob, name))),
  );
  return !isDenied && roles.some((role) => allows(role, methods[0] ?? "", permission));
}

/** No role gives what no method needs; the super role passes all the same. */
const NO_PERMISSION: Permission = { resource: "", action: "" };

function refusal(call: Call): RpcError | undefined {
  const { identity, definition, methodName, aliasOf } = call;
  const { security } = call.config;
  const { permission } = definition;
  const methods = aliasOf === undefined ? [methodName] : [methodName, aliasOf];
  if (permission !== undefined)
    return permits(security, identity, permission, methods)
      ? undefined
      : denied(call, "insufficient_permissions");
  const superOnly = { ...security, roles: [] };
  return permits(superOnly, identity, NO_PERMISSION, methods)
    ? undefined
    : denied(call, "permission_not_defined");
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
