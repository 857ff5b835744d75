import { expect, test } from "bun:test";
import { isForLater, schedulingFaults } from "./scheduled.ts";

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;
const file = { id: "1", filename: "a", mimeType: "b", size: 1, path: "/x" };

test.each([
  ["nothing scheduled", { localId: undefined }, undefined],
  ["null", { scheduledAt: null }, undefined],
  ["in a week", { scheduledAt: NOW + 7 * DAY, localId: "l" }, undefined],
  ["in the past", { scheduledAt: 1, localId: "l" }, undefined],
  ["without a localId", { scheduledAt: NOW + 1 }, ["localId"]],
  ["later than in a week", { scheduledAt: NOW + 7 * DAY + 1, localId: "l" }, ["scheduledAt"]],
  ["with a file", { scheduledAt: NOW + 1, localId: "l", attachments: [file] }, ["attachments"]],
  ["with an empty list of files", { scheduledAt: NOW + 1, localId: "l", attachments: [] }, undefined],
  ["steering", { scheduledAt: NOW + 1, localId: "l", deliveryMode: "steer" }, ["deliveryMode"]],
  [
    "all at once",
    { scheduledAt: NOW + 8 * DAY, attachments: [file] },
    ["localId", "scheduledAt", "attachments"],
  ],
] as const)("%s", (_, message, fields) => {
  const faults = schedulingFaults(message as never, NOW);
  expect(faults === undefined ? undefined : Object.keys(faults)).toEqual(fields as never);
});

test("only the future is later", () => {
  expect(isForLater(NOW + 1, NOW)).toBeTrue();
  expect(isForLater(NOW, NOW)).toBeFalse();
  expect(isForLater(null, NOW)).toBeFalse();
});
