// Everything that an account can own: made for a test, and counted table by table.
import { expect } from "bun:test";
import nacl from "tweetnacl";
import { type Account, call } from "./happy-client.ts";
import { rows } from "./operator.ts";
import type { TestServer } from "./server.ts";

/** Something in every table that an account can own rows in. @returns the session. */
export async function fill(account: Account, server: TestServer): Promise<string> {
  const metadata = "bWV0YQ==";
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata });
  const sid = opened.body.session.id as string;
  const machineId = `machine-of-${account.id}`;
  await account.call("POST", "/v1/machines", { id: machineId, metadata });
  await account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: "a", localId: "a" }] });
  await account.call("POST", `/v1/access-keys/${sid}/${machineId}`, { data: "x" });
  await account.call("POST", "/v1/artifacts", {
    id: crypto.randomUUID(),
    header: "AAEC",
    body: "AAEC",
    dataEncryptionKey: "AAEC",
  });
  await account.call("POST", "/v1/kv", { mutations: [{ key: "k", value: "AAEC", version: -1 }] });
  await account.call("POST", "/v1/push-tokens", { token: `ExponentPushToken[${account.id}]` });
  await account.call("POST", "/v1/connect/openai/register", { token: "sk" });
  const { body } = await account.call("POST", `/v1/sessions/${sid}/attachments/request-upload`, {
    filename: "a",
    size: 3,
  });
  await fetch(body.uploadUrl, {
    method: "PUT",
    body: "abc",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
  });
  const now = Date.now();
  const pk = "(SELECT pk FROM accounts WHERE id = ?)";
  const own = (text: string) => rows(server, text, account.id, now, now);
  own(
    `INSERT INTO usage_reports (id, account_pk, key, data, created_at, updated_at) VALUES ('u' || random(), ${pk}, 'k', '{}', ?, ?)`,
  );
  own(
    `INSERT INTO feed_items (id, account_pk, counter, body, created_at, updated_at) VALUES ('f' || random(), ${pk}, 1000, '{}', ?, ?)`,
  );
  own(
    `INSERT INTO uploaded_files (id, account_pk, path, created_at, updated_at) VALUES ('p' || random(), ${pk}, 'public/x', ?, ?)`,
  );
  own(`INSERT INTO push_ledger (account_pk, session_id, kind, outcome, tokens, delivered, duration_ms, created_at)
    SELECT ${pk}, 's', 'k', 'sent', 1, 1, 1, ? WHERE ? > 0`);
  own(`INSERT INTO seen_tokens (account_pk, token_id, label, issued_at, first_seen_at, last_seen_at)
    SELECT ${pk}, 'x', '', 0, ?, ?`);
  rows(server, `INSERT INTO revoked_tokens SELECT 'r' || random(), ${pk}, ?`, account.id, now);
  const publicKey = Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
  for (const kind of ["", "/account"]) {
    await call(account.url, undefined, "POST", `/v1/auth${kind}/request`, { publicKey });
    await account.call("POST", `/v1/auth${kind}/response`, { publicKey, response: "x" });
  }
  const empty = OWNED.filter(
    ([table]) => table !== "relationships" && !(table in countsOf(server, account.id)),
  );
  expect(empty).toEqual([]);
  return sid;
}

/** Every table with rows of accounts, and the column that says whose. */
const OWNED = [
  ...["sessions", "machines", "access_keys", "artifacts", "kv_entries", "usage_reports", "push_tokens"],
  ...[
    "service_account_tokens",
    "uploaded_files",
    "feed_items",
    "push_ledger",
    "seen_tokens",
    "revoked_tokens",
  ],
]
  .map((table) => [table, "account_pk"] as const)
  .concat([
    ["relationships", "from_pk"],
    ["terminal_auth_requests", "response_account_pk"],
    ["account_auth_requests", "response_account_pk"],
  ] as never);
const pkOf = new Map<string, number>();

/** How many rows each table has of the account; only those with any. */
export function countsOf(server: TestServer, account: string): Record<string, number> {
  const [known] = rows<{ pk: number }>(server, "SELECT pk FROM accounts WHERE id = ?", account);
  if (known !== undefined) pkOf.set(account, known.pk);
  const pk = pkOf.get(account) ?? 0;
  const counts = OWNED.map(([table, column]) => {
    const [count] = rows<{ n: number }>(server, `SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`, pk);
    return [table, count?.n ?? 0] as const;
  });
  return Object.fromEntries(counts.filter(([, n]) => n > 0));
}
