// Takes debug logs of clients (HTTP contract 3.6, alias of 17). Only mounted when the setting says so: it needs no token.
import { z } from "zod";
import type { ClientLogs } from "../client-logs.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";

const body = z.object({
  timestamp: z.string(),
  level: z.string(),
  message: z.string(),
  messageRawObject: z.unknown().optional(),
  source: z.enum(["mobile", "cli"]),
  platform: z.string().optional(),
});

export const CLIENT_LOG_PATH = "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging";

export function clientLogEndpoints(logs: ClientLogs): readonly Endpoint[] {
  const append = (path: string, auth: Endpoint["auth"]) =>
    endpoint({ method: "POST", path, auth, body }, async ({ body: record }) => {
      await logs.append(record);
      return json({ success: true });
    });
  return [append(CLIENT_LOG_PATH, "none"), append("/v1/dev/logs", "bearer")];
}
