// The two secret files of a home (data contract, section 9): made once, for the owner's eyes only, and refused when they are not what
// they should be, because going on would log everybody out.
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileDurably } from "../../storage/durable-file.ts";

const KEY_BYTES = 32;
const MODE = 0o600;

const jwtSecret = z.object({ secretBase64: z.base64() });
const owner = z.object({ ownerId: z.int().min(1).max(Number.MAX_SAFE_INTEGER) });

/** Signs the logins of web clients. @throws Error with a sentence when the file holds anything but 32 bytes. */
export function loadJwtKey(home: string): Uint8Array {
  const path = join(home, "jwt-secret.json");
  if (!existsSync(path)) {
    const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    write(path, { secretBase64: Buffer.from(key).toString("base64") });
    return key;
  }
  chmodSync(path, MODE);
  return checkJwtKey(home);
}

/** Of a file that is there; changes nothing. @throws Error as loadJwtKey */
export function checkJwtKey(home: string): Uint8Array {
  const path = join(home, "jwt-secret.json");
  const key = Buffer.from(jwtSecret.safeParse(read(path)).data?.secretBase64 ?? "", "base64");
  if (key.byteLength !== KEY_BYTES)
    throw new Error(
      `The file ${path} does not hold a key of ${KEY_BYTES} bytes. Restore it from a backup, or delete it: every web client logs in again then.`,
    );
  return key;
}

/** The user that every login says. @throws Error with a sentence when the file holds anything but a positive safe integer. */
export function loadOwnerId(home: string): number {
  const path = join(home, "owner-id.json");
  if (!existsSync(path)) {
    const ownerId = newOwnerId();
    write(path, { ownerId });
    return ownerId;
  }
  chmodSync(path, MODE);
  return checkOwnerId(home);
}

/** Of a file that is there; changes nothing. @throws Error as loadOwnerId */
export function checkOwnerId(home: string): number {
  const path = join(home, "owner-id.json");
  const { data } = owner.safeParse(read(path));
  if (data === undefined)
    throw new Error(
      `The file ${path} does not hold a positive whole number. Restore it from a backup, or delete it.`,
    );
  return data.ownerId;
}

/** Those that are there; changes nothing. @throws Error as loadJwtKey and loadOwnerId */
export function checkSecretFiles(home: string): void {
  if (existsSync(join(home, "jwt-secret.json"))) checkJwtKey(home);
  if (existsSync(join(home, "owner-id.json"))) checkOwnerId(home);
}

/** 52 bits, none of them wasted: a safe integer, and never 0. */
function newOwnerId(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high & 0xf_ffff) * 2 ** 32 + low + 1;
}

function write(path: string, value: unknown): void {
  writeFileDurably(path, JSON.stringify(value, null, 2), MODE);
}

function read(path: string): unknown {
  const text = readFileSync(path, "utf8");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
