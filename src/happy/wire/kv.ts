// Key-value entries on the wire, pure (HTTP contract 12, realtime contract 7.13).

import type { KvChange, KvConflict, KvEntry } from "../store/kv.ts";
import type { UpdateBody } from "./updates.ts";
import { base64Body } from "./updates.ts";

export const kvBody = ({ key, value, version }: KvEntry) => ({ key, value: base64Body(value), version });

export const kvConflictBody = ({ key, value, version }: KvConflict) => ({
  key,
  error: "version-mismatch",
  version,
  value: value === null ? null : base64Body(value),
});

/** All changes of one batch, values as they were sent. */
export const kvBatchUpdate = (changes: readonly KvChange[]): UpdateBody => ({
  t: "kv-batch-update",
  changes: changes.map(({ key, value, version }) => ({ key, value, version })),
});
