// Authenticators that modules bring (contract 9.3, 27.3). What they answer is looked at like anything else from outside the house: what has
// not the form of a principal lets nobody in, and one that does not answer holds nobody longer than the call may take.
import { z } from "zod";
import { within } from "../../within.ts";
import type { Identity } from "../pipeline/call.ts";
import type { HeaderSource } from "../pipeline/incoming.ts";
import type { PeerSummary } from "../registry/call-context.ts";
import { type AuthScheme, isTenant } from "../wire/request-metadata.ts";
import { RpcError } from "../wire/rpc-error.ts";

/** What an authenticator of somebody else's is asked with. */
export interface AuthenticateInput {
  readonly scheme: AuthScheme | null;
  readonly credentials: string | null;
  readonly headers: HeaderSource;
  readonly certificate: PeerSummary | null;
  readonly method: string;
}

/**
 * Null: it knows nothing of it, and the next is asked. Throws an error whose `code` is 3000, 3001 or 3002 for what it refuses.
 */
export type Authenticate = (input: AuthenticateInput) => unknown;

const names = z.array(z.string().min(1).max(128)).max(256);
/** What it returns of a principal. */
const returned = z.object({
  id: z.string().min(1).max(256),
  type: z.string().min(1).max(64).default("user"),
  roles: names.default([]),
  scopes: names.default([]),
  tenant: z.string().refine(isTenant).nullish(),
});

/** Undefined when none of them knows. @throws RpcError 3000, 3001, 3002; 5003 without an answer; whatever else one throws */
export async function askEach(
  others: readonly Authenticate[],
  input: AuthenticateInput,
  boundMs: number,
): Promise<Identity | undefined> {
  const asking = async () => {
    for (const authenticate of others) {
      const known = await authenticate(input);
      if (known !== null && known !== undefined) return identityOf(known, input.scheme);
    }
    return undefined;
  };
  try {
    return await within(boundMs, asking(), () => new RpcError(5003));
  } catch (error) {
    throw refusalOf(error);
  }
}

function identityOf(known: unknown, scheme: AuthScheme | null): Identity {
  const { id, type, roles, scopes, tenant } = returned.parse(known);
  return {
    id,
    type,
    roles,
    scopes,
    // Somebody who is nobody has proved nothing.
    verified: type !== "anonymous",
    auth_scheme: scheme,
    tenant: tenant ?? undefined,
  };
}

/** A module has no class of ours: it says what it means with a number. */
function refusalOf(error: unknown): unknown {
  if (error instanceof RpcError || typeof error !== "object" || error === null) return error;
  const { code } = error as { readonly code?: unknown };
  return code === 3000 || code === 3001 || code === 3002 ? new RpcError(code, { cause: error }) : error;
}
