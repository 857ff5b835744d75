// `ping`: always answered, with the client's time when it gave one, the server's, and the way between them.
import { z } from "zod";
import type { Handler } from "../handler.ts";

const data = z.object({ ts: z.number() });

export const ping: Handler = {
  handle: ({ hub, now, reply }, _client, payload) => {
    const server = now();
    const given = data.safeParse(payload);
    const ts = given.success ? given.data.ts : server;
    const rtt = Math.max(0, server - ts);
    if (given.success) hub.observeLatency(rtt);
    reply("pong", { ts, server_ts: server, rtt });
  },
};
