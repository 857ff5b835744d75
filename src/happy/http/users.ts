// Other accounts: one by id or username, and search by username (HTTP contract 14.1, 14.2, and the additive lookup of 17).
import { z } from "zod";
import { findUser, searchUsers } from "../store/users.ts";
import { userBody } from "../wire/user-profile.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

const search = endpoint(
  { method: "GET", path: "/v1/user/search", auth: "bearer", query: z.object({ query: z.string() }) },
  ({ context, account, query: { query } }) => {
    const users = searchUsers(context.database, account, query);
    return json({ users: users.map((parts) => userBody(context.config, parts)) });
  },
);

const read = endpoint(
  { method: "GET", path: "/v1/user/:id", auth: "bearer", params: z.object({ id: z.string() }) },
  ({ context, account, params: { id } }) => {
    const parts = findUser(context.database, account, id);
    return parts === undefined
      ? refusal(404, "User not found")
      : json({ user: userBody(context.config, parts) });
  },
);

export const userEndpoints: readonly Endpoint[] = [search, read];
