// Who may use the topics API. Names are unique; only hashes of passwords are kept.
import { asc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { users } from "./schema.ts";

export type User = typeof users.$inferSelect;

const byName = prepared((db) =>
  db
    .select()
    .from(users)
    .where(eq(users.username, sql.placeholder("username")))
    .prepare(),
);

export function findUser(db: Db, username: string): User | undefined {
  return byName(db).get({ username });
}

const byId = prepared((db) =>
  db
    .select()
    .from(users)
    .where(eq(users.id, sql.placeholder("id")))
    .prepare(),
);

/** True when the user exists and may log in. */
export function isActiveUser(db: Db, id: number): boolean {
  return byId(db).get({ id })?.status === "active";
}

export function listUsers(db: Db): User[] {
  return db.select().from(users).orderBy(asc(users.id)).all();
}

export function hasUsers(db: Db): boolean {
  return db.select({ id: users.id }).from(users).limit(1).get() !== undefined;
}

/** False when the name is taken. */
export function addUser(
  { writer }: Database,
  { username, passwordHash, role }: Pick<User, "username" | "passwordHash" | "role">,
): Promise<boolean> {
  return writer.run((db) => {
    if (findUser(db, username) !== undefined) return false;
    const now = Date.now();
    db.insert(users).values({ username, passwordHash, role, createdAt: now, updatedAt: now }).run();
    return true;
  });
}

/** False when there is no such user. */
export function changeUser(
  { writer }: Database,
  username: string,
  change: Partial<Pick<User, "passwordHash" | "status">>,
): Promise<boolean> {
  return writer.run((db) => {
    const changed = db
      .update(users)
      .set({ ...change, updatedAt: Date.now() })
      .where(eq(users.username, username))
      .returning({ id: users.id })
      .all();
    return changed.length > 0;
  });
}
