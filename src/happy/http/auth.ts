// Sign-in by signed challenge, and pairing of terminals and further devices (HTTP contract 2.3 to 2.6 and 4).
import { z } from "zod";
import { later } from "../../http/retry-after.ts";
import { networkOf } from "../../limits/network.ts";
import { isSignature, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "../auth/ed25519.ts";
import type { HappyContext } from "../context.ts";
import type { Admission } from "../store/admission.ts";
import type { PairingKind } from "../store/pairing.ts";
import { Base64Error, decodeStrict } from "../wire/base64.ts";
import { type Call, type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { inviteCode } from "./kit/mount.ts";

const BOX_KEY_BYTES = 32;

/** Clients sign 32 random bytes. */
const MAX_CHALLENGE_BYTES = 1024;

/**
 * Undefined for what is not base64: permitted fix 1 of HTTP contract 20 answers 400 where the original fails with 500. Text of more
 * bytes is not decoded.
 */
function bytesOf(text: string, maxBytes = Number.POSITIVE_INFINITY): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > Math.ceil(maxBytes / 3) * 4) return undefined;
  try {
    return decodeStrict(text);
  } catch (error) {
    if (error instanceof Base64Error) return undefined;
    throw error;
  }
}

const keyHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex").toUpperCase();

const login = endpoint(
  {
    method: "POST",
    path: "/v1/auth",
    auth: "none",
    limit: "sign-in",
    body: z.object({ publicKey: z.string(), challenge: z.string(), signature: z.string() }),
  },
  async ({ context, body, request, mount, facts }) => {
    const publicKey = bytesOf(body.publicKey, PUBLIC_KEY_BYTES);
    const challenge = bytesOf(body.challenge, MAX_CHALLENGE_BYTES);
    const signature = bytesOf(body.signature, SIGNATURE_BYTES);
    if (publicKey?.length !== PUBLIC_KEY_BYTES) return refusal(400, "Invalid public key");
    if (challenge === undefined || challenge.length > MAX_CHALLENGE_BYTES)
      return refusal(400, "Invalid challenge");
    if (signature?.length !== SIGNATURE_BYTES) return refusal(400, "Invalid signature encoding");
    if (!isSignature(challenge, signature, publicKey)) return refusal(401, "Invalid signature");
    // Only whoever holds the key is counted by it: nobody can use up the sign-ins of somebody else.
    const waitMs = context.config.rateLimits
      ? context.rateLimits.account("sign-in", keyHex(publicKey))
      : undefined;
    if (waitMs !== undefined)
      return later(refusal(429, "Too many sign-ins with this key. Try again in a moment."), waitMs);
    const admission = await context.store.signIn(publicKey, challenge, {
      registration: context.config.happyRegistration,
      invite: inviteCode(mount),
      client: (request.headers.get("x-happy-client") ?? "").slice(0, MAX_CLIENT_LENGTH),
      network: networkOf(facts.clientAddress),
    });
    if (admission === undefined) return refusal(401, "Invalid signature");
    if (admission.kind !== "admitted") return refusal(403, whatToDo(admission));
    const { account } = admission;
    // Its sockets come next, perhaps many at once.
    facts.caller.authenticated(account);
    const token = await context.tokens.issue({ account, ...context.revocations.issueFor(account) });
    return json({ success: true, token });
  },
);

const MAX_CLIENT_LENGTH = 100;

/** One sentence for whoever holds the phone. */
function whatToDo(refused: Exclude<Admission, { kind: "admitted" }>): string {
  switch (refused.kind) {
    case "waiting":
      return `This server does not know your key yet: ask its owner to run "roost accounts approve ${refused.fingerprint}", then try again.`;
    case "uninvited":
      return `This server takes new accounts by invitation only: ask its owner for an invite address, or to run "roost accounts approve ${refused.fingerprint}".`;
    case "refused":
      return `The owner of this server has refused your key ${refused.fingerprint}: ask them, or use another server.`;
    case "disabled":
      return `Your account on this server is disabled: ask its owner to run "roost accounts enable ${refused.account}".`;
    case "closed":
      return "This server takes no new accounts: use another server, or restore an account that it knows.";
  }
}

/** The uppercase hex of a box key, or the refusal that the contract wants. */
function boxKey(text: string): string | Response {
  const bytes = bytesOf(text);
  if (bytes === undefined) return refusal(400, "Invalid public key");
  return bytes.length === BOX_KEY_BYTES ? keyHex(bytes) : refusal(401, "Invalid public key");
}

async function poll(
  { context, facts }: Pick<Call<unknown, unknown, unknown>, "context" | "facts">,
  kind: PairingKind,
  publicKey: string,
  supportsV2: boolean,
): Promise<Response> {
  const key = boxKey(publicKey);
  if (key instanceof Response) return key;
  const found = await context.pairings.poll(kind, key, supportsV2, facts.clientAddress);
  if (found.state === "requested") return json(found);
  const token = await context.tokens.issue({
    account: found.account,
    id: found.tokenId,
    issuedAt: found.tokenIssuedAt,
    generation: found.generation,
    ...(kind === "terminal" && { extra: { session: found.requestId } }),
  });
  return json({ state: "authorized", token, response: found.response });
}

async function approve(
  context: HappyContext,
  kind: PairingKind,
  account: string,
  body: { publicKey: string; response: string },
) {
  const key = boxKey(body.publicKey);
  if (key instanceof Response) return key;
  if (Buffer.byteLength(body.response) > MAX_RESPONSE_BYTES) return refusal(413, "Response is too large");
  const found = await context.pairings.approve(kind, key, account, body.response);
  return found ? json({ success: true }) : refusal(404, "Request not found");
}

/** The bundles of all clients have about 100. */
const MAX_RESPONSE_BYTES = 64 * 1024;

const approval = z.object({ response: z.string(), publicKey: z.string() });

const terminalRequest = endpoint(
  {
    method: "POST",
    path: "/v1/auth/request",
    auth: "none",
    limit: "pairing",
    body: z.object({ publicKey: z.string(), supportsV2: z.boolean().nullish() }),
  },
  ({ body, ...call }) => poll(call, "terminal", body.publicKey, body.supportsV2 ?? false),
);

const terminalStatus = endpoint(
  {
    method: "GET",
    path: "/v1/auth/request/status",
    auth: "none",
    limit: "pairing",
    query: z.object({ publicKey: z.string() }),
  },
  async ({ context, query }) => {
    const bytes = bytesOf(query.publicKey);
    if (bytes === undefined) return refusal(400, "Invalid public key");
    if (bytes.length !== BOX_KEY_BYTES) return json({ status: "not_found", supportsV2: false });
    return json(await context.pairings.status(keyHex(bytes)));
  },
);

const terminalResponse = endpoint(
  { method: "POST", path: "/v1/auth/response", auth: "bearer", limit: "pairing", body: approval },
  ({ context, account, body }) => approve(context, "terminal", account, body),
);

const accountRequest = endpoint(
  {
    method: "POST",
    path: "/v1/auth/account/request",
    auth: "none",
    limit: "pairing",
    body: z.object({ publicKey: z.string() }),
  },
  ({ body, ...call }) => poll(call, "account", body.publicKey, false),
);

const accountResponse = endpoint(
  { method: "POST", path: "/v1/auth/account/response", auth: "bearer", limit: "pairing", body: approval },
  ({ context, account, body }) => approve(context, "account", account, body),
);

export const authEndpoints: readonly Endpoint[] = [
  login,
  terminalRequest,
  terminalStatus,
  terminalResponse,
  accountRequest,
  accountResponse,
];
