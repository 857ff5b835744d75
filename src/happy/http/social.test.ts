// Users, friends and feed as their clients see them: every row of the relationship tables, who is told, who is not, and the paging.

import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
let database: Sqlite;
beforeAll(async () => {
  server = await testServer({ publicUrl: "https://roost.example" });
  database = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
});
afterAll(async () => {
  database.close();
  await server.stop();
});

const account = () => newAccount(server.url);

/** What GitHub connect would have stored. */
function introduce(id: string, fields: Record<string, string | null>): void {
  for (const [column, value] of Object.entries(fields)) {
    database.query(`UPDATE accounts SET ${column} = $value WHERE id = $id`).run({ value, id });
  }
}

function github(id: string, githubId: string, profile: Record<string, unknown>): void {
  database
    .query(
      "INSERT INTO github_users (id, profile, created_at, updated_at) VALUES ($githubId, $profile, 1, 1)",
    )
    .run({ githubId, profile: JSON.stringify({ id: Number(githubId), avatar_url: "", ...profile }) });
  introduce(id, { github_user_id: githubId });
}

const PK = "(SELECT pk FROM accounts WHERE id = $from), (SELECT pk FROM accounts WHERE id = $to)";

/** Puts one directed row as a test needs it; `none` without a row is the other way to say none. */
function relate(
  from: Account,
  to: Account,
  status: string | null,
  lastNotifiedAt: number | null = null,
): void {
  if (status === null) return;
  database
    .query(
      `INSERT INTO relationships (from_pk, to_pk, status, created_at, updated_at, last_notified_at)
       VALUES (${PK}, $status, 1, 1, $lastNotifiedAt)`,
    )
    .run({ from: from.id, to: to.id, status, lastNotifiedAt });
}

interface Row {
  status: string;
  accepted_at: number | null;
  last_notified_at: number | null;
}

function relation(from: Account, to: Account): Row | undefined {
  return (
    database
      .query<Row, Record<string, string>>(
        `SELECT status, accepted_at, last_notified_at FROM relationships WHERE (from_pk, to_pk) = (${PK})`,
      )
      .get({ from: from.id, to: to.id }) ?? undefined
  );
}

const add = (caller: Account, uid: string) => caller.call("POST", "/v1/friends/add", { uid });
const remove = (caller: Account, uid: string) => caller.call("POST", "/v1/friends/remove", { uid });
const feed = async (owner: Account, query = "") => (await owner.call("GET", `/v1/feed${query}`)).body;

describe("users", () => {
  test("a bare account is shown with empty text where the app refuses null", async () => {
    const [viewer, other] = [await account(), await account()];
    const answer = await viewer.call("GET", `/v1/user/${other.id}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      user: {
        id: other.id,
        firstName: "",
        lastName: null,
        avatar: null,
        username: "",
        bio: null,
        status: "none",
      },
    });
    expect((await viewer.call("GET", `/v1/user/${viewer.id}`)).body.user).toMatchObject({
      id: viewer.id,
      status: "none",
    });
  });

  test("names, avatar, username and bio come from the account and its GitHub profile", async () => {
    const [viewer, other] = [await account(), await account()];
    introduce(other.id, {
      first_name: "Ada",
      last_name: "Lovelace",
      avatar: JSON.stringify({ path: "public/a.png", width: 3, height: 4, thumbhash: "AA==" }),
    });
    github(other.id, "815", { login: "ada-github", bio: "" });
    const first = (await viewer.call("GET", `/v1/user/${other.id}`)).body.user;
    expect(first).toEqual({
      id: other.id,
      firstName: "Ada",
      lastName: "Lovelace",
      avatar: {
        path: "public/a.png",
        url: "https://roost.example/files/public/a.png",
        width: 3,
        height: 4,
        thumbhash: "AA==",
      },
      username: "ada-github",
      bio: null,
      status: "none",
    });
    introduce(other.id, { username: "own-name" });
    database
      .query("UPDATE github_users SET profile = json_set(profile, '$.bio', 'counts') WHERE id = '815'")
      .run();
    const second = (await viewer.call("GET", `/v1/user/${other.id}`)).body.user;
    expect(second).toMatchObject({ username: "own-name", bio: "counts" });
  });

  test("an id is looked up before a username, a username without regard to case, exact case first", async () => {
    const [viewer, lower, upper, mimic] = [
      await account(),
      await account(),
      await account(),
      await account(),
    ];
    introduce(lower.id, { username: "casey" });
    introduce(upper.id, { username: "Casey" });
    introduce(mimic.id, { username: lower.id });
    const who = async (name: string) => (await viewer.call("GET", `/v1/user/${name}`)).body.user?.id;
    expect(await who("casey")).toBe(lower.id);
    expect(await who("Casey")).toBe(upper.id);
    expect([lower.id, upper.id]).toContain(await who("CASEY"));
    expect(await who(lower.id)).toBe(lower.id);
    const missing = await viewer.call("GET", "/v1/user/case");
    expect([missing.status, missing.body]).toEqual([404, { error: "User not found" }]);
  });

  test("search gives the first ten usernames with the prefix, by bytes, with wildcards taken literally", async () => {
    const viewer = await account();
    const names = [
      "zed",
      "Zed0",
      "zed_1",
      "zed%2",
      "zedA",
      "zEd3",
      "zed4",
      "zed5",
      "zed6",
      "zed7",
      "zed8",
      "zed9",
      "ze",
    ];
    for (const username of names) introduce((await account()).id, { username });
    introduce(viewer.id, { username: "zeda" });
    const search = async (query: string) => {
      const { status, body } = await viewer.call("GET", `/v1/user/search?query=${encodeURIComponent(query)}`);
      expect(status).toBe(200);
      return body.users.map(({ username }: { username: string }) => username);
    };
    expect(await search("ZED")).toEqual([
      ...["Zed0", "zEd3", "zed", "zed%2", "zed4", "zed5", "zed6", "zed7", "zed8", "zed9"],
    ]);
    expect(await search("zed_")).toEqual(["zed_1"]);
    expect(await search("zed%")).toEqual(["zed%2"]);
    expect(await search("zeda")).toEqual(["zedA", "zeda"]);
    expect(await search("nobody")).toEqual([]);
    expect(await search("")).toHaveLength(10);
    const missing = await viewer.call("GET", "/v1/user/search");
    expect([missing.status, missing.body.error]).toEqual([400, "Error"]);
  });
});

const NEVER = null;
const LATELY = () => Date.now() - 23 * 3_600_000;
const LONG_AGO = () => Date.now() - 25 * 3_600_000;

describe("friends/add", () => {
  const rows: {
    mine: string | null;
    theirs: string | null;
    notified?: () => number | null;
    becomes: [string | undefined, string | undefined];
    told: string | null;
    answer: string;
  }[] = [
    {
      mine: null,
      theirs: null,
      becomes: ["requested", "pending"],
      told: "friend_request",
      answer: "requested",
    },
    {
      mine: "none",
      theirs: "none",
      becomes: ["requested", "pending"],
      told: "friend_request",
      answer: "requested",
    },
    {
      mine: "rejected",
      theirs: "pending",
      becomes: ["requested", "pending"],
      told: "friend_request",
      answer: "requested",
    },
    { mine: "none", theirs: "rejected", becomes: ["requested", "rejected"], told: null, answer: "requested" },
    {
      mine: "rejected",
      theirs: "pending",
      notified: LATELY,
      becomes: ["requested", "pending"],
      told: null,
      answer: "requested",
    },
    {
      mine: "rejected",
      theirs: "pending",
      notified: LONG_AGO,
      becomes: ["requested", "pending"],
      told: "friend_request",
      answer: "requested",
    },
    {
      mine: "pending",
      theirs: "requested",
      becomes: ["friend", "friend"],
      told: "friend_accepted",
      answer: "friend",
    },
    {
      mine: null,
      theirs: "requested",
      becomes: ["friend", "friend"],
      told: "friend_accepted",
      answer: "friend",
    },
    {
      mine: "rejected",
      theirs: "requested",
      becomes: ["friend", "friend"],
      told: "friend_accepted",
      answer: "friend",
    },
    {
      mine: "requested",
      theirs: "pending",
      becomes: ["requested", "pending"],
      told: null,
      answer: "requested",
    },
    { mine: "friend", theirs: "friend", becomes: ["friend", "friend"], told: null, answer: "friend" },
    { mine: "pending", theirs: null, becomes: ["pending", undefined], told: null, answer: "pending" },
  ];
  for (const { mine, theirs, notified, becomes, told, answer } of rows) {
    const when =
      notified === undefined ? "" : notified === LATELY ? ", notified lately" : ", notified long ago";
    test(`${mine} / ${theirs}${when} becomes ${becomes.join(" / ")}, tells ${told}`, async () => {
      const [caller, target] = [await account(), await account()];
      relate(caller, target, mine);
      relate(target, caller, theirs, notified?.() ?? NEVER);
      const phone = await target.connect();
      const added = await add(caller, target.id);
      expect([added.status, added.body.user.id, added.body.user.status]).toEqual([200, target.id, answer]);
      expect([relation(caller, target)?.status, relation(target, caller)?.status]).toEqual(becomes);
      if (becomes[0] === "friend" && mine !== "friend") {
        expect(relation(caller, target)?.accepted_at).toBeGreaterThan(0);
        expect(relation(target, caller)?.accepted_at).toBeGreaterThan(0);
      }
      await phone.settled();
      const { items } = await feed(target);
      if (told === null) {
        expect([phone.updates, items]).toEqual([[], []]);
      } else {
        expect(items).toEqual([
          {
            id: expect.stringMatching(/^c[0-9a-z]{24}$/),
            body: { kind: told, uid: caller.id },
            repeatKey: `${told}_${caller.id}`,
            cursor: "0-1",
            createdAt: expect.any(Number),
          },
        ]);
        expect(phone.updates).toEqual([
          {
            id: expect.stringMatching(/^[A-Za-z0-9]{12}$/),
            seq: 1,
            createdAt: expect.any(Number),
            body: { t: "new-feed-post", ...items[0] },
          },
        ]);
        expect(relation(target, caller)?.last_notified_at).toBe(items[0].createdAt);
      }
      phone.close();
    });
  }

  test("a request that is accepted at once tells the one who asked, not again the one who was asked", async () => {
    const [asks, accepts] = [await account(), await account()];
    const session = await asks.connect({ clientType: "machine-scoped", machineId: "m" });
    await add(asks, accepts.id);
    expect((await add(accepts, asks.id)).body.user.status).toBe("friend");
    expect((await feed(asks)).items.map(({ body }: { body: unknown }) => body)).toEqual([
      { kind: "friend_accepted", uid: accepts.id },
    ]);
    expect((await feed(accepts)).items.map(({ body }: { body: unknown }) => body)).toEqual([
      { kind: "friend_request", uid: asks.id },
    ]);
    const friends = async (owner: Account) =>
      (await owner.call("GET", "/v1/friends")).body.friends.map(
        ({ id, status }: { id: string; status: string }) => [id, status],
      );
    expect(await friends(asks)).toEqual([[accepts.id, "friend"]]);
    expect(await friends(accepts)).toEqual([[asks.id, "friend"]]);
    // Only user-scoped connections hear of the feed.
    await session.settled();
    expect(session.updates).toEqual([]);
    session.close();
  });

  test("a post with the same repeat key returns on top with a new id and a new counter", async () => {
    const [asks, asked, other] = [await account(), await account(), await account()];
    await add(asks, asked.id);
    await add(other, asked.id);
    const before = (await feed(asked)).items;
    await remove(asks, asked.id);
    database.query("UPDATE relationships SET last_notified_at = $at WHERE last_notified_at IS NOT NULL").run({
      at: LONG_AGO(),
    });
    await add(asks, asked.id);
    const after = (await feed(asked)).items;
    expect(
      after.map(({ cursor, body }: { cursor: string; body: { uid: string } }) => [cursor, body.uid]),
    ).toEqual([
      ["0-3", asks.id],
      ["0-2", other.id],
    ]);
    expect(before.map(({ id }: { id: string }) => id)).not.toContain(after[0].id);
  });

  test("oneself and unknown accounts give null, not 404, and change nothing", async () => {
    const caller = await account();
    for (const uid of [caller.id, "cnobody"]) {
      const added = await add(caller, uid);
      expect([added.status, added.body]).toEqual([200, { user: null }]);
    }
    expect((await caller.call("GET", "/v1/friends")).body).toEqual({ friends: [] });
    const missing = await caller.call("POST", "/v1/friends/add", {});
    expect([missing.status, missing.body]).toEqual([
      400,
      {
        error: "Error",
        message: "body/uid Invalid input: expected string, received undefined",
        statusCode: 400,
      },
    ]);
  });
});

describe("friends/remove", () => {
  const rows: {
    mine: string | null;
    theirs: string | null;
    becomes: [string | undefined, string | undefined];
    answer: string;
  }[] = [
    { mine: "requested", theirs: "pending", becomes: ["rejected", "pending"], answer: "rejected" },
    { mine: "friend", theirs: "friend", becomes: ["pending", "requested"], answer: "requested" },
    { mine: "pending", theirs: "requested", becomes: ["none", "none"], answer: "none" },
    { mine: "pending", theirs: "rejected", becomes: ["none", "rejected"], answer: "none" },
    { mine: "rejected", theirs: "pending", becomes: ["rejected", "pending"], answer: "rejected" },
    { mine: null, theirs: "requested", becomes: [undefined, "requested"], answer: "none" },
  ];
  for (const { mine, theirs, becomes, answer } of rows) {
    test(`${mine} / ${theirs} becomes ${becomes.join(" / ")} and tells nobody`, async () => {
      const [caller, target] = [await account(), await account()];
      relate(caller, target, mine);
      relate(target, caller, theirs);
      const phones = [await caller.connect(), await target.connect()];
      const removed = await remove(caller, target.id);
      expect([removed.status, removed.body.user.id, removed.body.user.status]).toEqual([
        200,
        target.id,
        answer,
      ]);
      expect([relation(caller, target)?.status, relation(target, caller)?.status]).toEqual(becomes);
      for (const phone of phones) {
        await phone.settled();
        expect(phone.heard).toEqual([]);
        phone.close();
      }
    });
  }

  test("removing oneself gives oneself with status none; an unknown account gives null", async () => {
    const caller = await account();
    expect((await remove(caller, caller.id)).body.user).toMatchObject({ id: caller.id, status: "none" });
    expect((await remove(caller, "cnobody")).body).toEqual({ user: null });
  });

  test("the friends list holds friend, pending and requested only", async () => {
    const caller = await account();
    const others = await Promise.all(
      ["friend", "pending", "requested", "rejected", "none"].map(async (status) => {
        const other = await account();
        relate(caller, other, status);
        return [other.id, status];
      }),
    );
    const { friends } = (await caller.call("GET", "/v1/friends")).body;
    const listed = friends.map(({ id, status }: { id: string; status: string }) => [id, status]);
    expect(listed.sort()).toEqual(others.slice(0, 3).sort());
  });
});

describe("feed", () => {
  test("pages newest first from either side; before wins; bad cursors are refused", async () => {
    const owner = await account();
    for (let counter = 1; counter <= 5; counter++) await add(await account(), owner.id);
    const page = async (query: string) => {
      const { items, hasMore } = await feed(owner, query);
      return [items.map(({ cursor }: { cursor: string }) => Number(cursor.slice(2))), hasMore];
    };
    expect(await page("")).toEqual([[5, 4, 3, 2, 1], false]);
    expect(await page("?limit=2")).toEqual([[5, 4], true]);
    expect(await page("?limit=2&before=0-4")).toEqual([[3, 2], true]);
    expect(await page("?limit=2&before=0-3")).toEqual([[2, 1], false]);
    expect(await page("?limit=2&after=0-1")).toEqual([[5, 4], true]);
    expect(await page("?limit=2&after=0-3")).toEqual([[5, 4], false]);
    expect(await page("?before=0-3&after=0-4")).toEqual([[2, 1], false]);
    expect(await page("?before=0-2x")).toEqual([[1], false]);
    expect(await page("?before=0-99999999999999999999999")).toEqual([[5, 4, 3, 2, 1], false]);
    for (const bad of ["before=1", "before=0-", "after=0-x", "before="]) {
      const answer = await owner.call("GET", `/v1/feed?${bad}`);
      expect([bad, answer.status, answer.body]).toEqual([bad, 400, { error: "Invalid cursor format" }]);
    }
    for (const bad of ["limit=0", "limit=201", "limit=", "limit=1.5"]) {
      const answer = await owner.call("GET", `/v1/feed?${bad}`);
      expect([bad, answer.status, answer.body.error]).toEqual([bad, 400, "Error"]);
    }
  });

  test("needs a token", async () => {
    for (const path of ["/v1/feed", "/v1/friends", "/v1/user/x", "/v1/user/search?query="]) {
      const response = await fetch(`${server.url}${path}`);
      expect([path, response.status, await response.json()]).toEqual([
        path,
        401,
        { error: "Missing authorization header" },
      ]);
    }
  });
});
