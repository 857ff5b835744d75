// Operations of a store on one database, such that no answer tells of what a crash could take back: readers see what is committed, which may
// not be durable yet. An operation that writes is told after its own group, and so after all that it has seen. One that only reads is
// told when everything is durable that was committed by the time of its last read; and rows that are read while an answer is written are
// given out one by one on the same condition. Parts of a stored value need none: they belong to a version of their row that was seen.
import type { Database } from "./database.ts";

type Operation = (...given: never[]) => Promise<unknown>;

/**
 * The same operations, of a store on this database. None throws: what is wrong rejects.
 * @param tellingNothing those whose answer is the same whatever is stored: they wait for nothing.
 */
export function durableStore<S extends object>(
  database: Database,
  operations: S,
  tellingNothing: readonly (keyof S)[] = [],
): S {
  const bound = Object.entries(operations).map(([name, operation]: [string, Operation]) => [
    name,
    tellingNothing.includes(name as keyof S)
      ? operation
      : (...given: never[]) => durably(database, () => operation(...given)),
  ]);
  return Object.fromEntries(bound);
}

type Writing = { readonly writer: Pick<Database["writer"], "runs" | "durable"> };

/** What `operation` answers, as soon as all that it may tell of is durable. */
export function durably<T>({ writer }: Writing, operation: () => Promise<T>): Promise<T> {
  const runs = writer.runs;
  let answer: Promise<T>;
  try {
    answer = operation();
  } catch (error) {
    answer = Promise.reject(error);
  }
  // It is told after its own group. Nothing comes in between, so that what one sender has written is answered in order.
  if (writer.runs !== runs) return answer;
  // Most reads are over by now, and nothing waits: then they cost nothing.
  const status = Bun.peek.status(answer);
  if (status === "rejected" && writer.durable() === undefined) return answer;
  if (status === "fulfilled" && writer.durable() === undefined) {
    const value = Bun.peek(answer) as T;
    const later = withDurableRows(value, writer);
    return later === value ? answer : Promise.resolve(later);
  }
  return answer.then(
    async (value) => {
      await writer.durable();
      return withDurableRows(value, writer);
    },
    // Also what was refused may tell of what is there.
    async (error: unknown) => {
      await writer.durable();
      throw error;
    },
  );
}

/** Lists whose rows are read later (weighed-list.ts), also as one field of an answer, and batches. */
function withDurableRows<T>(value: T, writer: Writing["writer"]): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (Symbol.asyncIterator in value) return durableRows(value as AsyncIterable<unknown>, writer) as T;
  if (isHeavy(value)) return { ...value, rows: durableRows(value.rows, writer) };
  const fields: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value))
    if (isHeavy(field)) fields[name] = { ...field, rows: durableRows(field.rows, writer) };
  return Object.keys(fields).length === 0 ? value : { ...value, ...fields };
}

function isHeavy(value: unknown): value is { readonly rows: AsyncIterable<unknown> } {
  return (
    typeof value === "object" &&
    value !== null &&
    "isHeavy" in value &&
    value.isHeavy === true &&
    "rows" in value
  );
}

async function* durableRows<R>(rows: AsyncIterable<R>, writer: Writing["writer"]): AsyncGenerator<R> {
  for await (const row of rows) {
    const durable = writer.durable();
    if (durable !== undefined) await durable;
    yield row;
  }
}
