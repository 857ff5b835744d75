// What nobody answers (HTTP contract 1.6): a wrong method on a known path looks the same as an unknown path.
import { targetOf } from "../../http/target.ts";
import { json } from "./kit/endpoint.ts";

export function notFound(request: Request): Response {
  return json({ error: "Not found", path: targetOf(request.url), method: request.method }, 404);
}
