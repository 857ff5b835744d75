// How a Socket.IO socket is asked, and which acknowledgements are answers.
import { expect, test } from "bun:test";
import { REFUSED_ACK } from "../server/packet-gate.ts";
import { AnswerTooLarge, type AskedSocket, socketTarget } from "./target.ts";

interface Emitted {
  readonly timeoutMs: number;
  readonly event: string;
  readonly request: unknown;
}

/** A socket that acknowledges with these arguments. */
function socketAnswering(error: Error | null, ...answer: unknown[]) {
  const emitted: Emitted[] = [];
  const socket: AskedSocket = {
    id: "s",
    timeout: (timeoutMs) => ({
      emit: (event, request, answered) => {
        emitted.push({ timeoutMs, event, request });
        answered(error, ...answer);
      },
    }),
  };
  return { socket, emitted };
}

test("the request goes out under the protocol's event, without parameters that are none", async () => {
  const { socket, emitted } = socketAnswering(null);
  const target = socketTarget(socket, "ask-me");
  expect(target.id).toBe("s");
  for (const params of [undefined, null, "p"]) await target.request("m", params, 30);
  expect(emitted).toEqual([
    { timeoutMs: 30, event: "ask-me", request: { method: "m" } },
    { timeoutMs: 30, event: "ask-me", request: { method: "m", params: null } },
    { timeoutMs: 30, event: "ask-me", request: { method: "m", params: "p" } },
  ]);
  expect(Object.keys(emitted[0]?.request as object)).toEqual(["method"]);
});

test.each<[unknown[], unknown]>([
  [[], {}],
  [[undefined], { result: undefined }],
  [[null], { result: null }],
  [["first", "second"], { result: "first" }],
])("acknowledged with %j the answer is %j", async (args, expected) => {
  const { socket } = socketAnswering(null, ...args);
  const answer = await socketTarget(socket, "e").request("m", 1, 1);
  expect(answer).toEqual(expected as never);
  expect("result" in answer).toBe(args.length > 0);
});

test("no acknowledgement in time and one that is refused for its size are told apart", async () => {
  const late = socketTarget(socketAnswering(new Error("operation has timed out")).socket, "e");
  expect(late.request("m", 1, 1)).rejects.toThrow("operation has timed out");
  const large = socketTarget(socketAnswering(null, REFUSED_ACK).socket, "e");
  expect(large.request("m", 1, 1)).rejects.toBeInstanceOf(AnswerTooLarge);
});
