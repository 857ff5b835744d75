// Where a SendKey's messages go, and what of it is ever said.
import { afterEach, expect, test } from "bun:test";
import { ServerChanService } from "../../../test/support/server-chan-service.ts";
import { deadlineIn } from "../deadline.ts";
import { addressOf, ServerChan } from "./server-chan.ts";

const service = new ServerChanService();
afterEach(() => {
  service.broken = undefined;
});

test("a key of the third version has a host of its own, and no key is more than one part of a path", () => {
  expect(addressOf("SCT123abc", undefined)).toBe("https://sctapi.ftqq.com/SCT123abc.send");
  expect(addressOf("sctp777tabc", undefined)).toBe("https://777.push.ft07.com/send/sctp777tabc.send");
  expect(addressOf("sctp7.evil.example/t", undefined)).toBe(
    "https://sctapi.ftqq.com/sctp7.evil.example%2Ft.send",
  );
  expect(addressOf("a/../b?c", "http://own.example/")).toBe("http://own.example/a%2F..%2Fb%3Fc.send");
});

test("a used-up day is no dead key, and no reason holds the key", async () => {
  service.broken = { status: 400 };
  const channel = new ServerChan(service.url);
  const verdicts = await channel.send(["SCTsecret"], { title: "t", text: "x" }, deadlineIn(5_000));
  expect(verdicts).toEqual([{ ok: false, reason: "HTTP 400, code 40001", dead: false }]);
  await service.stop();
  const [lost] = await channel.send(["SCTsecret"], { title: "t", text: "x" }, deadlineIn(300));
  expect(JSON.stringify(lost)).not.toContain("SCTsecret");
});
