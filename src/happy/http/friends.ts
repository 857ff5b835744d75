// Friends: list, add, remove (HTTP contract 14.3 to 14.5). Whoever is told of a change hears `new-feed-post`; nothing else is emitted.
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { userScoped } from "../audience.ts";
import type { FriendChange } from "../store/social.ts";
import { newFeedPost } from "../wire/feed.ts";
import { userBody } from "../wire/user-profile.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";
import { jsonList } from "./kit/large.ts";

const body = z.object({ uid: identifier });

const list = endpoint({ method: "GET", path: "/v1/friends", auth: "bearer" }, async ({ context, account }) =>
  jsonList(context, "friends", await context.store.listFriends(account), (parts) =>
    userBody(context.config, parts),
  ),
);

const add = endpoint(
  { method: "POST", path: "/v1/friends/add", auth: "bearer", body },
  async ({ context, account, body: { uid } }) => {
    const announce = (change: FriendChange | undefined) => {
      for (const { account: receiver, updateSeq, item } of change?.notices ?? []) {
        context.publisher.update(userScoped(receiver), updateSeq, newFeedPost(item));
      }
    };
    const change = await context.store.addFriend(account, uid, announce);
    return json({ user: change === undefined ? null : userBody(context.config, change.user) });
  },
);

const remove = endpoint(
  { method: "POST", path: "/v1/friends/remove", auth: "bearer", body },
  async ({ context, account, body: { uid } }) => {
    const change = await context.store.removeFriend(account, uid);
    return json({ user: change === undefined ? null : userBody(context.config, change.user) });
  },
);

export const friendEndpoints: readonly Endpoint[] = [list, add, remove];
