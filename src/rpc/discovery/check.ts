// One look at an instance (contract 14, 27.4): its own HealthService is asked for its service, or, where its metadata says `health_path`, that
// page is read. Nothing of it is believed but a status.
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { isIP } from "node:net";
import { z } from "zod";
import type { RpcDocument } from "../document/document.ts";
import type { HealthStatus } from "../services/health.ts";
import type { Registration } from "./instance.ts";
import { allowedLookup, isAllowedAddress, NotAllowed } from "./targets.ts";

const MAX_ANSWER_BYTES = 64 * 1024;
const PATH = "/aduib_rpc/v2/rpc";

const answer = z.object({
  status: z.literal("success"),
  result: z.object({ status: z.enum(["healthy", "unhealthy", "degraded", "unknown"]) }),
});

/** Whether it has a transport that this server speaks. */
export const isCheckable = ({ scheme }: Registration): boolean =>
  scheme === "http" || scheme === "https" || scheme === "jsonrpc" || scheme === "jsonrpcs";

/** Undefined where nothing came that means anything. Never rejects. */
export async function checkInstance(
  given: Registration,
  settings: RpcDocument["discovery"],
): Promise<HealthStatus | undefined> {
  const path = given.metadata.health_path;
  try {
    if (path !== undefined) {
      const { status } = await ask(given, settings, path.startsWith("/") ? path : `/${path}`);
      return status >= 200 && status < 300 ? "healthy" : undefined;
    }
    const message = {
      aduib_rpc: "2.0",
      id: crypto.randomUUID(),
      method: "rpc.v2/HealthService/Check",
      data: { service: given.service_name },
    };
    const { text } = await ask(given, settings, PATH, JSON.stringify(message));
    return answer.parse(JSON.parse(text)).result.status;
  } catch {
    return undefined;
  }
}

function ask(
  { host, port, scheme }: Registration,
  { allowed_targets, check_timeout_ms }: RpcDocument["discovery"],
  path: string,
  body?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const isSecure = scheme === "https" || scheme === "jsonrpcs";
  return new Promise((resolve, reject) => {
    if (isIP(host) !== 0 && !isAllowedAddress(host, allowed_targets)) {
      reject(new NotAllowed(host));
      return;
    }
    const request = (isSecure ? secureRequest : plainRequest)(
      {
        host,
        port,
        path,
        method: body === undefined ? "GET" : "POST",
        headers:
          body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
        lookup: allowedLookup(allowed_targets),
        // Each look is a connection of its own: a kept one would say that an instance lives whose door is shut.
        agent: false,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
          if (text.length > MAX_ANSWER_BYTES) request.destroy(new Error("the answer is too long"));
        });
        response.on("end", () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, text });
        });
        response.on("error", reject);
      },
    );
    // Over all of it: an answer that comes byte by byte is none.
    const timer = setTimeout(() => request.destroy(new Error("no answer in time")), check_timeout_ms);
    request.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.on("close", () => {
      clearTimeout(timer);
      reject(new Error("it was cut short"));
    });
    request.end(body);
  });
}
