// A web client in a process of its own, so that a storm in the test's process does not slow it: asks its hub for the list of sessions,
// again and again, and writes for each answer its status, its sessions and its milliseconds. `bun hapi-list-prober.ts URL JWT`
import { setTimeout as sleep } from "node:timers/promises";

const PAUSE_MS = 50;
const [url = "", jwt = ""] = process.argv.slice(2);
for (;;) {
  const startedAt = performance.now();
  const line = await fetch(`${url}/api/sessions?limit=500`, { headers: { authorization: `Bearer ${jwt}` } })
    .then(async (response) => {
      const { sessions } = (await response.json()) as { sessions?: unknown[] };
      return [response.status, sessions?.length ?? 0, Math.round(performance.now() - startedAt)];
    })
    // There is no server at the moment.
    .catch(() => undefined);
  if (line !== undefined) console.log(JSON.stringify(line));
  await sleep(PAUSE_MS);
}
