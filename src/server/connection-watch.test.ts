// A flood that begins in the moment of the start takes every descriptor before the first look: connections of strangers are ended all
// the same. How many descriptors there may be is read before, because reading it needs one.
import { expect } from "bun:test";
import { join } from "node:path";
import { onLinux } from "../../test/support/needs.ts";

const FLOODED = `
  const { openSync } = require("node:fs");
  const { ConnectionWatch } = await import(${JSON.stringify(join(import.meta.dir, "connection-watch.ts"))});
  const stranger = { fd: 7, localPort: 1, remoteAddress: "192.0.2.1", remotePort: 2 };
  const refused = Promise.withResolvers();
  const watch = new ConnectionWatch({
    kernel: { list: () => [stranger], silentMs: () => 5, shutdown: () => true, bytesRead: () => 0 },
    addresses: { widened: (cap) => cap },
    bounds: { refused: (name) => refused.resolve(name) },
    log: { info: () => {}, error: ({ err }) => refused.reject(err) },
    maxPerAddress: () => 0,
    ports: () => [1],
    isProxy: () => false,
    known: () => () => false,
  });
  watch.start();
  try { for (;;) openSync("/dev/null", "r"); } catch {}
  const bound = setTimeout(() => refused.resolve("nothing"), 3_000);
  console.log(await refused.promise);
  clearTimeout(bound);
  watch.stop();
`;

onLinux.test(
  "a flood from the first moment does not keep the watch from knowing that descriptors run out",
  async () => {
    const child = Bun.spawn(["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", process.execPath, "-e", FLOODED], {
      stdout: "pipe",
      stderr: "inherit",
    });
    expect((await child.stdout.text()).trim()).toBe("descriptors");
    expect(await child.exited).toBe(0);
  },
);
