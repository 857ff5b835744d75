// A limit in front of a handler: the protocol's words, and when to come again.
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { requestFacts } from "../../test/support/request-facts.ts";
import { TokenBuckets } from "../limits/token-buckets.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { later, rateLimit } from "./rate-limit.ts";

test.each([
  [0, "1"],
  [1, "1"],
  [1_000, "1"],
  [1_001, "2"],
  [90_000, "90"],
])("%d ms are %s s", (waitMs, seconds) => {
  expect(later(new Response(), waitMs).headers.get("retry-after")).toBe(seconds);
});

test("one address waits, another does not, and the handler is not run", async () => {
  const buckets = new TokenBuckets({ burst: 1, perSecond: 0.1 }, () => 0);
  let runs = 0;
  const app = new Hono<{ Bindings: RequestFacts }>();
  app.use(
    rateLimit({
      exceeded: ({ caller }) => buckets.exceeded(caller.address),
      refused: () => Response.json({ error: "slower" }, { status: 429 }),
    }),
  );
  app.get("/", (c) => c.text(`${++runs}`));
  const ask = async (address: string) => {
    const answer = await app.fetch(new Request("http://roost/"), requestFacts({ address }));
    return [answer.status, answer.headers.get("retry-after"), await answer.text()];
  };
  expect(await ask("192.0.2.1")).toEqual([200, null, "1"]);
  expect(await ask("192.0.2.1")).toEqual([429, "10", '{"error":"slower"}']);
  expect(await ask("192.0.2.2")).toEqual([200, null, "2"]);
});
