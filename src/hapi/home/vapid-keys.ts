// The key pair by which push services know this server (RFC 8292): an uncompressed point of P-256 and its private scalar, base64url.
import { generateKeyPairSync } from "node:crypto";
import type { VapidKeys } from "./known-settings.ts";

export function newVapidKeys(): VapidKeys {
  const {
    x = "",
    y = "",
    d = "",
  } = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    format: "jwk",
  });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return { publicKey: point.toString("base64url"), privateKey: d };
}
