// Friends: list, add, remove (HTTP contract 14.3 to 14.5). Whoever is told of a change hears `new-feed-post`; nothing else is emitted.
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { userScoped } from "../audience.ts";
import { newFeedPost } from "../social-updates.ts";
import { addFriend, type FriendChange, removeFriend } from "../store/social.ts";
import { listFriends } from "../store/users.ts";
import { userBody } from "../user-profile.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";
import { jsonList } from "./kit/large.ts";

const body = z.object({ uid: identifier });

const list = endpoint({ method: "GET", path: "/v1/friends", auth: "bearer" }, ({ room, account }) =>
  jsonList(room, "friends", listFriends(room.database, account), (parts) => userBody(room.config, parts)),
);

const add = endpoint(
  { method: "POST", path: "/v1/friends/add", auth: "bearer", body },
  async ({ room, account, body: { uid } }) => {
    const announce = (change: FriendChange | undefined) => {
      for (const { account: receiver, updateSeq, item } of change?.notices ?? []) {
        room.publisher.update(userScoped(receiver), updateSeq, newFeedPost(item));
      }
    };
    const change = await addFriend(room.database, account, uid, announce);
    return json({ user: change === undefined ? null : userBody(room.config, change.user) });
  },
);

const remove = endpoint(
  { method: "POST", path: "/v1/friends/remove", auth: "bearer", body },
  async ({ room, account, body: { uid } }) => {
    const change = await removeFriend(room.database, account, uid);
    return json({ user: change === undefined ? null : userBody(room.config, change.user) });
  },
);

export const friendEndpoints: readonly Endpoint[] = [list, add, remove];
