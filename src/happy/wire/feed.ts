// Feed items on the wire, pure (HTTP contract 14.6, realtime contract 7.12). The update carries `repeatKey`, which the original
// leaves out and the app's schema demands (20.14).
import type { FeedItem } from "../store/feed.ts";
import type { UpdateBody } from "./updates.ts";

export const CURSOR = "0-";

/** A feed item as `GET /v1/feed` lists it. */
export function feedBody({ id, body, repeatKey, counter, createdAt }: FeedItem) {
  return { id, body, repeatKey, cursor: `${CURSOR}${counter}`, createdAt };
}

export const newFeedPost = (item: FeedItem): UpdateBody => ({ t: "new-feed-post", ...feedBody(item) });
