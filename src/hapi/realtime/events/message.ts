// `message`: stored, and told to the others of the room. It has no acknowledgement, so that its sender learns of a failure by the `error`
// event only; `ping` is answered when every message before it is settled: a CLI that leaves waits for that.

import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { isTooDeep } from "../../../limits/json-depth.ts";
import { accountOf } from "../../auth/web-tokens.ts";
import { cliEvent } from "../connection.ts";
import type { Presence } from "../deeds.ts";
import { id, present } from "./shapes.ts";

const schema = z.object({
  sid: id,
  message: present,
  localId: identifier.nullish(),
  createdAt: z.number().optional().catch(undefined),
});

export const message = cliEvent("message", {
  schema,
  subject: ({ sid }) => ({ session: sid }),
  handle: async ({ deeds, from, pace, unsettled }, { sid, message: given, localId, createdAt }) => {
    const sent = { sid, content: contentOf(given), localId: localId || undefined, createdAt };
    let absence: Presence;
    const stored = pace.turn(
      accountOf({ ns: from.namespace }),
      () => sizeOf(given),
      async () => {
        absence = await deeds.message(from, sent);
      },
    );
    unsettled.add(stored);
    try {
      await stored;
    } finally {
      unsettled.delete(stored);
    }
    return absence;
  },
});

export const ping = cliEvent("ping", {
  schema: z.unknown(),
  handle: async ({ unsettled }, _payload, ack) => {
    await Promise.allSettled([...unsettled]);
    ack();
  },
});

/** Text is JSON where it can be read as such, else the content itself (hapi-socket 6). */
function contentOf(given: unknown): unknown {
  if (typeof given !== "string" || isTooDeep(given)) return given;
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

/** Of what waits for its turn, which is rare: not counted exactly unless it is text. */
const sizeOf = (given: unknown): number =>
  typeof given === "string" ? given.length : JSON.stringify(given).length;
