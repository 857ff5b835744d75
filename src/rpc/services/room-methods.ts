// Methods that other rooms of the house offer (contract 27.2). What they give is somebody's data: callers need the permission, and where no
// roles are checked they have to be proved, or programs of this machine.
import { NotThere, type OfferedMethod } from "../../protocol/offered-method.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { zodParams } from "../registry/params.ts";
import { rpcError } from "../wire/rpc-error.ts";

export function roomMethod(offered: OfferedMethod): MethodDefinition {
  const { service, handler, description, params, permission } = offered;
  return {
    service,
    handler,
    description,
    permission,
    guard: "operator",
    source: "room",
    idempotent: true,
    params: zodParams(params),
    run: async (data) => {
      try {
        return await offered.read(params.parse(data ?? {}));
      } catch (error) {
        if (!(error instanceof NotThere)) throw error;
        throw rpcError(4000, "ResourceNotFound", error.message, { field: `data.${error.field}` });
      }
    },
  };
}
