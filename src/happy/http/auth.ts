// Sign-in by signed challenge, and pairing of terminals and further devices (HTTP contract 2.3 to 2.6 and 4).
import nacl from "tweetnacl";
import { z } from "zod";
import { Base64Error, decodeStrict } from "../../auth/base64.ts";
import type { HappyRoom } from "../room.ts";
import { signIn } from "../store/challenges.ts";
import { approvePairing, type PairingKind, pairingStatus, pollPairing } from "../store/pairing.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

const BOX_KEY_BYTES = 32;

/** Undefined for what is not base64: permitted fix 1 of HTTP contract 20 answers 400 where the original fails with 500. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | undefined {
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
    body: z.object({ publicKey: z.string(), challenge: z.string(), signature: z.string() }),
  },
  async ({ room, body }) => {
    const publicKey = bytesOf(body.publicKey);
    const challenge = bytesOf(body.challenge);
    const signature = bytesOf(body.signature);
    if (publicKey?.length !== nacl.sign.publicKeyLength) return refusal(400, "Invalid public key");
    if (challenge === undefined) return refusal(400, "Invalid challenge");
    if (signature?.length !== nacl.sign.signatureLength) return refusal(400, "Invalid signature encoding");
    if (!nacl.sign.detached.verify(challenge, signature, publicKey)) return refusal(401, "Invalid signature");
    const signedIn = await signIn(room.database, publicKey, challenge);
    if (signedIn === undefined) return refusal(401, "Invalid signature");
    return json({ success: true, token: await room.tokens.issue({ account: signedIn.account }) });
  },
);

/** The uppercase hex of a box key, or the refusal that the contract wants. */
function boxKey(text: string): string | Response {
  const bytes = bytesOf(text);
  if (bytes === undefined) return refusal(400, "Invalid public key");
  return bytes.length === BOX_KEY_BYTES ? keyHex(bytes) : refusal(401, "Invalid public key");
}

async function poll(
  room: HappyRoom,
  kind: PairingKind,
  publicKey: string,
  supportsV2: boolean,
): Promise<Response> {
  const key = boxKey(publicKey);
  if (key instanceof Response) return key;
  const found = await pollPairing(room.database, kind, key, supportsV2);
  if (found.state === "requested") return json(found);
  const token = await room.tokens.issue({
    account: found.account,
    id: found.tokenId,
    issuedAt: found.tokenIssuedAt,
    ...(kind === "terminal" && { extra: { session: found.requestId } }),
  });
  return json({ state: "authorized", token, response: found.response });
}

async function approve(
  room: HappyRoom,
  kind: PairingKind,
  account: string,
  body: { publicKey: string; response: string },
) {
  const key = boxKey(body.publicKey);
  if (key instanceof Response) return key;
  const found = await approvePairing(room.database, kind, key, account, body.response);
  return found ? json({ success: true }) : refusal(404, "Request not found");
}

const approval = z.object({ response: z.string(), publicKey: z.string() });

const terminalRequest = endpoint(
  {
    method: "POST",
    path: "/v1/auth/request",
    auth: "none",
    body: z.object({ publicKey: z.string(), supportsV2: z.boolean().nullish() }),
  },
  ({ room, body }) => poll(room, "terminal", body.publicKey, body.supportsV2 ?? false),
);

const terminalStatus = endpoint(
  {
    method: "GET",
    path: "/v1/auth/request/status",
    auth: "none",
    query: z.object({ publicKey: z.string() }),
  },
  ({ room, query }) => {
    const bytes = bytesOf(query.publicKey);
    if (bytes === undefined) return refusal(400, "Invalid public key");
    if (bytes.length !== BOX_KEY_BYTES) return json({ status: "not_found", supportsV2: false });
    return json(pairingStatus(room.database, keyHex(bytes)));
  },
);

const terminalResponse = endpoint(
  { method: "POST", path: "/v1/auth/response", auth: "bearer", body: approval },
  ({ room, account, body }) => approve(room, "terminal", account, body),
);

const accountRequest = endpoint(
  {
    method: "POST",
    path: "/v1/auth/account/request",
    auth: "none",
    body: z.object({ publicKey: z.string() }),
  },
  ({ room, body }) => poll(room, "account", body.publicKey, false),
);

const accountResponse = endpoint(
  { method: "POST", path: "/v1/auth/account/response", auth: "bearer", body: approval },
  ({ room, account, body }) => approve(room, "account", account, body),
);

export const authEndpoints: readonly Endpoint[] = [
  login,
  terminalRequest,
  terminalStatus,
  terminalResponse,
  accountRequest,
  accountResponse,
];
