// How many streams may wait for one caller, and that nothing stays of those that do not.
import { expect, test } from "bun:test";
import { testLimits } from "../../../test/support/limits.ts";
import { AwayStreams } from "./away-streams.ts";

const owner = (principal: string, verified: boolean) => ({ tenant: "t", principal, verified });

function many(
  away: AwayStreams,
  count: number,
  principal: (at: number) => string,
  verified: boolean,
  address: string,
) {
  const left: number[] = [];
  const streams = Array.from({ length: count }, (_, at) => {
    const who = owner(principal(at), verified);
    const stream = {
      leave: () => {
        left.push(at);
        stream.remove();
      },
      remove: () => away.remove(stream, who, address),
      add: () => away.add(stream, who, address),
    };
    stream.add();
    return stream;
  });
  return { left, streams };
}

test("the one that waited longest ends for one too many of a network, whatever its clients call themselves", () => {
  const limits = testLimits();
  const away = new AwayStreams(limits);
  const { left, streams } = many(away, 66, (at) => `name ${at}`, false, "203.0.113.7");
  expect([left, limits.bounds.count("rpc-streams-away")]).toEqual([[0, 1], 2]);
  expect(many(away, 64, () => "other", false, "198.51.100.1").left).toEqual([]);
  for (const stream of streams) stream.remove();
  expect(away.size).toBe(1);
});

test("who proved who it is has its own number, wherever it comes from", () => {
  const away = new AwayStreams(testLimits());
  const address = "203.0.113.7";
  expect(many(away, 64, () => "a", true, address).left).toEqual([]);
  expect(many(away, 64, () => "b", true, address).left).toEqual([]);
  const { left, streams } = many(away, 65, () => "c", true, address);
  expect(left).toEqual([0]);
  streams[1]?.remove();
  streams[1]?.add();
  expect(left).toEqual([0]);
});
