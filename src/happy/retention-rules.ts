// The operator's age limits as moments: what is older than each goes. A limit of 0 days is none.
import type { HappyConfig } from "./settings.ts";

const DAY_MS = 86_400_000;

export type RetentionConfig = Pick<
  HappyConfig,
  | "happyRetentionSessionsDays"
  | "happyRetentionMessagesDays"
  | "happyRetentionAttachmentsDays"
  | "happyRetentionUsageDays"
  | "happyRetentionFeedDays"
>;

/** Unix ms; undefined keeps everything of the kind. */
export interface Cutoffs {
  readonly sessions: number | undefined;
  readonly messages: number | undefined;
  readonly attachments: number | undefined;
  readonly usage: number | undefined;
  readonly feed: number | undefined;
}

export function cutoffs(config: RetentionConfig, now: number): Cutoffs {
  const before = (days: number) => (days === 0 ? undefined : now - days * DAY_MS);
  return {
    sessions: before(config.happyRetentionSessionsDays),
    messages: before(config.happyRetentionMessagesDays),
    attachments: before(config.happyRetentionAttachmentsDays),
    usage: before(config.happyRetentionUsageDays),
    feed: before(config.happyRetentionFeedDays),
  };
}

/** The shortest time for which something is kept, in ms; infinite without limits. */
export function shortest(config: RetentionConfig): number {
  const {
    happyRetentionSessionsDays: retentionSessionsDays,
    happyRetentionMessagesDays: retentionMessagesDays,
    happyRetentionAttachmentsDays: retentionAttachmentsDays,
    happyRetentionUsageDays: retentionUsageDays,
    happyRetentionFeedDays: retentionFeedDays,
  } = config;
  const days = [
    retentionSessionsDays,
    retentionMessagesDays,
    retentionAttachmentsDays,
    retentionUsageDays,
    retentionFeedDays,
  ];
  return Math.min(...days.filter((count) => count > 0).map((count) => count * DAY_MS));
}

export const hasRules = (limits: Cutoffs): boolean => Object.values(limits).some((at) => at !== undefined);
