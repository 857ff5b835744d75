// What a browser asks before its request (HTTP contract 1.9). `authorization` and its kin stand beside `*`, which by the Fetch standard
// does not cover them.
import { CLIENT_HEADER } from "../../client.ts";

const PERMITTED = {
  status: 204,
  headers: {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE",
    "access-control-allow-headers": `*, authorization, content-type, ${CLIENT_HEADER}`,
  },
};
const INVALID = {
  status: 400,
  headers: { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" },
};

export function preflight({ headers }: Request): Response {
  return headers.has("origin") && headers.has("access-control-request-method")
    ? new Response(null, PERMITTED)
    : new Response("Invalid Preflight Request", INVALID);
}
