// Other accounts: one by id or username, and search by username (HTTP contract 14.1, 14.2, and the additive lookup of 17).
import { z } from "zod";
import { userBody } from "../wire/user-profile.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

const search = endpoint(
  { method: "GET", path: "/v1/user/search", auth: "bearer", query: z.object({ query: z.string() }) },
  async ({ context, account, query: { query } }) => {
    const users = await context.store.searchUsers(account, query);
    return json({ users: users.map((parts) => userBody(context.config, parts)) });
  },
);

const read = endpoint(
  { method: "GET", path: "/v1/user/:id", auth: "bearer", params: z.object({ id: z.string() }) },
  async ({ context, account, params: { id } }) => {
    const parts = await context.store.findUser(account, id);
    return parts === undefined
      ? refusal(404, "User not found")
      : json({ user: userBody(context.config, parts) });
  },
);

export const userEndpoints: readonly Endpoint[] = [search, read];
