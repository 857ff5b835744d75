// A bystander in a process of its own, so that an attacker's work in the test's process does not slow it: asks its server over one socket,
// again and again, and writes each round trip in milliseconds as a line. `bun prober.ts URL TOKEN`
import { listen } from "./happy-client.ts";

const PAUSE_MS = 50;
const [url = "", token = ""] = process.argv.slice(2);
const phone = await listen(url, { token, clientType: "user-scoped" });
console.log("ready");
for (;;) {
  const startedAt = performance.now();
  await phone.ask("ping");
  console.log((performance.now() - startedAt).toFixed(1));
  await Bun.sleep(PAUSE_MS);
}
