// Whether the original hub answers where a home says that it listens: it takes no lock, so its port and its open database are all that
// tells (data contract, 7.8).
import { z } from "zod";

const health = z.object({ status: z.string(), protocolVersion: z.number() });
const PATIENCE_MS = 1_000;

/** Whether something answers there as a hub does. Any other program, or none, is no hub. */
export async function isHubAt(host: string, port: number): Promise<boolean> {
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${name}:${port}/health`, {
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return answer.ok && health.safeParse(await answer.json()).success;
  } catch {
    return false;
  }
}
