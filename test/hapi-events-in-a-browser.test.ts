// A real browser reads HAPI's event streams with its own EventSource: compressed, each event at once, and after a cut what it missed.
import { afterEach, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventHub } from "./support/event-hub.ts";
import { needs } from "./support/needs.ts";
import { tcpProxy } from "./support/tcp-proxy.ts";
import { until } from "./support/until.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

/** Says what it hears as it hears it, one request an event, in order. */
const PAGE = `<!doctype html><script>
  const source = new EventSource("/api/events?token=default&all=true&visibility=visible");
  let said = Promise.resolve();
  source.onmessage = ({ lastEventId: id, data }) => {
    said = said.then(() => fetch("/heard", { method: "POST", body: JSON.stringify({ id, data }) }));
  };
</script>`;

interface Heard {
  readonly id: string;
  readonly data: {
    readonly type: string;
    readonly data?: { resume?: string };
    readonly message?: { seq: number };
  };
}

needs.program("chromium").test(
  "Chromium hears each event at once, and after a cut what it missed",
  async () => {
    const heard: Heard[] = [];
    const encodings: (string | null)[] = [];
    const hub = eventHub({
      also: [
        {
          prefixes: ["/"],
          fetch: (request) => {
            encodings.push(request.headers.get("accept-encoding"));
            return new Response(PAGE, { headers: { "content-type": "text/html" } });
          },
        },
        {
          paths: ["/heard"],
          fetch: async (request) => {
            const { id, data } = (await request.json()) as { id: string; data: string };
            heard.push({ id, data: JSON.parse(data) });
            return new Response();
          },
        },
      ],
    });
    cleanup.push(() => hub.close());
    const proxy = await tcpProxy(hub.door.port);
    cleanup.push(() => proxy.stop());
    const profile = mkdtempSync(join(tmpdir(), "roost-chromium-"));
    cleanup.push(() => rmSync(profile, { recursive: true, force: true }));
    const browser = Bun.spawn(
      [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        `--user-data-dir=${profile}`,
        "--remote-debugging-port=0",
        `http://127.0.0.1:${proxy.port}/`,
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
    cleanup.push(async () => {
      browser.kill();
      await browser.exited;
    });
    const seqs = () => heard.flatMap(({ data }) => data.message?.seq ?? []);
    let told = 0;
    const tell = (length: number) =>
      hub.events.broadcast({
        type: "message-received",
        namespace: "default",
        sessionId: "default-1",
        message: { seq: ++told, content: "ü".repeat(length) },
      });
    await until("the browser to listen", () => heard.length === 1, 60_000);
    expect(encodings[0]).toContain("gzip");
    expect(heard[0]?.data.data?.resume).toBe("gap");
    // The next is told only when the one before was heard.
    for (const length of [1, 300, 5_000, 70_000, 700_000]) {
      tell(length);
      await until(`event ${told}`, () => seqs().length === told);
    }
    expect(hub.streams.counts.deflated).toBeGreaterThan(5);
    expect(hub.events.toast("default", { title: "a", body: "b", sessionId: "c", url: "/" })).toBe(1);
    await until("the toast", () => heard.at(-1)?.data.type === "toast");
    proxy.cut();
    await until("the stream to be gone", () => hub.events.size === 0);
    for (let at = 0; at < 20; at++) tell(100 + at * 50);
    proxy.restore();
    await until("everything", () => seqs().length >= told, 60_000);
    tell(1);
    await until("what comes after", () => seqs().length >= told);
    expect(seqs()).toEqual(Array.from({ length: told }, (_, at) => at + 1));
    expect(heard.flatMap(({ data }) => data.data?.resume ?? [])).toEqual(["gap", "ok"]);
    expect(heard.at(-1)?.id).toMatch(/^[0-9a-f]{8}:26:[0-9a-f]{8}$/);
  },
  120_000,
);
