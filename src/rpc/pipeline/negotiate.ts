// Stage 6: the version of the protocol that this call speaks (contract 6).
import { rpcError } from "../wire/rpc-error.ts";
import { negotiate, offeredVersions } from "../wire/version.ts";
import type { Call } from "./call.ts";

/** @throws RpcError 1001 */
export function negotiateVersion(call: Call): void {
  const { aduibRpc, supportedVersions } = call.asked;
  const served = call.config.protocol.supported_versions;
  const offered = offeredVersions(aduibRpc, supportedVersions);
  call.version = negotiate(offered, served);
  if (call.version === undefined)
    throw rpcError(1001, "UnsupportedVersion", "no version in common", {
      metadata: { requested: offered, supported: served },
    });
}
