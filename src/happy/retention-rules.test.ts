// The operator's age limits as moments.
import { expect, test } from "bun:test";
import { cutoffs, hasRules } from "./retention-rules.ts";

const DAY_MS = 86_400_000;

test("days become moments, and 0 keeps everything", () => {
  const limits = cutoffs(
    {
      happyRetentionSessionsDays: 2,
      happyRetentionMessagesDays: 0,
      happyRetentionAttachmentsDays: 1,
      happyRetentionUsageDays: 0,
      happyRetentionFeedDays: 0,
    },
    10 * DAY_MS,
  );
  expect(limits).toEqual({
    sessions: 8 * DAY_MS,
    messages: undefined,
    attachments: 9 * DAY_MS,
    usage: undefined,
    feed: undefined,
  });
  expect([hasRules(limits), hasRules({ ...limits, sessions: undefined, attachments: undefined })]).toEqual([
    true,
    false,
  ]);
});
