// Settings of what is kept: the secret of the data folder, how much it may hold, and the bucket that may hold blobs instead.
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, port, text, url, whole } from "../config/values.ts";

export const storageSettings = {
  masterSecret: setting(
    text().optional(),
    "secret that all tokens derive from; made on the first run when absent",
    { secret: true },
  ),
  minFreeBytes: setting(
    whole(0, 2 ** 40).default(64 * 1024 * 1024),
    "free disk space below which uploads are refused, in bytes",
  ),
  maxStorageBytes: setting(
    whole(0, 2 ** 50).default(0),
    "most that the data folder may hold, in bytes: uploads are refused at 90 %, new things at 95 %, messages at 100 % (0 for no maximum)",
    { live: true },
  ),
  commit: setting(
    z.enum(["pipelined", "blocking"]).default("pipelined"),
    "how writes are made durable before they are acknowledged: pipelined (the disk works beside everything else) or blocking (everything waits for it)",
  ),
  s3Host: setting(
    text().optional(),
    "S3 host that keeps attachments and avatars instead of the data folder",
    {
      legacy: ["S3_HOST"],
    },
  ),
  s3Port: setting(port().optional(), "port of the S3 host, when it is not the usual one", {
    legacy: ["S3_PORT"],
  }),
  s3UseSsl: setting(flag().default(true), "speak HTTPS with the S3 host", { legacy: ["S3_USE_SSL"] }),
  s3Region: setting(text().default("us-east-1"), "region of the S3 bucket", { legacy: ["S3_REGION"] }),
  s3AccessKey: setting(text().optional(), "S3 access key", { legacy: ["S3_ACCESS_KEY"], secret: true }),
  s3SecretKey: setting(text().optional(), "S3 secret key", { legacy: ["S3_SECRET_KEY"], secret: true }),
  s3Bucket: setting(text().optional(), "S3 bucket; clients read it under public/ without a key", {
    legacy: ["S3_BUCKET"],
  }),
  s3PublicUrl: setting(url().optional(), "address of the bucket for clients; by default its own", {
    legacy: ["S3_PUBLIC_URL"],
  }),
} as const satisfies Record<string, Setting>;

/** See the setting. */
export type Commit = Values<typeof storageSettings>["commit"];

export type StorageConfig = Values<typeof storageSettings>;
