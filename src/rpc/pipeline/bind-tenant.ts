// Stage 9: whose call this is (contract 9.2). The envelope comes before headers, which proxies may add; somebody who is bound to a tenant
// calls for no other one.
import { isTenant } from "../wire/request-metadata.ts";
import { rpcError } from "../wire/rpc-error.ts";
import type { Call } from "./call.ts";

const DEFAULT_TENANT = "default";

/** @throws RpcError 3010 of a tenant that the principal is not bound to, 2003 of a header that names none */
export function bindTenant(call: Call): void {
  const { identity, incoming } = call;
  const named =
    call.asked.metadata?.tenantId ??
    fromHeader(incoming.headers.get("x-tenant-id") ?? incoming.headers.get("x-tenant"));
  if (named !== undefined && identity.verified && identity.tenant !== undefined && identity.tenant !== named)
    throw rpcError(3010, "permission_denied", "tenant_not_allowed", {
      field: "tenant_id",
      metadata: { principal_id: identity.id },
    });
  call.tenant = named ?? identity.tenant ?? DEFAULT_TENANT;
}

function fromHeader(text: string | null): string | undefined {
  if (text === null || text === "") return undefined;
  if (isTenant(text)) return text;
  throw rpcError(2003, "InvalidField", "is no tenant", { field: "header.x-tenant-id" });
}
