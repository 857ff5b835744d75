// Holds the queue of what is committed to its order: told only by a sync that began after the commit, in commit order, the next sync under
// way before anybody is told, and nothing at all after a sync that failed. Syncs end when the test says so.
import { expect, test } from "bun:test";
import { StorageError } from "./errors.ts";
import { type Group, MAX_UNSYNCED, MAX_UNSYNCED_BYTES, Unsynced } from "./unsynced.ts";

interface Named extends Group {
  readonly name: string;
}

const group = (name: string, parts: Partial<Group> = {}): Named => ({
  name,
  since: 1,
  operations: 1,
  bytes: 10,
  wrote: true,
  ...parts,
});

function scene({ isPipelined = true } = {}) {
  const said: string[] = [];
  const syncs: PromiseWithResolvers<void>[] = [];
  let why: StorageError | undefined;
  let refusal: Error | undefined;
  const log = {
    sync: () => {
      said.push("sync");
      const sync = Promise.withResolvers<void>();
      syncs.push(sync);
      return sync.promise;
    },
    now: () => {
      said.push("now");
      if (refusal !== undefined) throw refusal;
    },
  };
  const queue: Unsynced<Named> = new Unsynced<Named>({
    log: isPipelined ? log : undefined,
    whyLost: () => why,
    tell: (groups) => said.push(`tell ${groups.map(({ name }) => name).join(" ")}`),
    lost: (error) => {
      const refused = queue.refuse(error).map(({ name }) => name);
      said.push(`lost ${error.code}: ${refused.join(" ")}`);
    },
    syncFailed: (error) => new StorageError("unsynced", String(error)),
  });
  return {
    said,
    queue,
    push: (...names: string[]) => {
      for (const name of names) queue.push(group(name));
    },
    end: async (error?: Error) => {
      const sync = syncs.shift();
      if (error === undefined) sync?.resolve();
      else sync?.reject(error);
      await sync?.promise.catch(() => {});
      await null;
    },
    lose: (error: StorageError) => {
      why = error;
    },
    refuseNow: (error: Error) => {
      refusal = error;
    },
    /** Who has seen all that is committed now. */
    watch: (name: string) =>
      queue.durable()?.then(
        () => said.push(`seen ${name}`),
        (error: StorageError) => said.push(`${name} refused: ${error.code}`),
      ),
  };
}

test("a sync covers what was committed before it began; the next one is under way before anybody is told", async () => {
  const { said, push, end, queue } = scene();
  push("a", "b");
  expect(said).toEqual(["sync"]);
  await end();
  expect(said.splice(0)).toEqual(["sync", "sync", "tell a"]);
  push("c");
  await end();
  expect(said.splice(0)).toEqual(["sync", "tell b"]);
  await end();
  expect(said.splice(0)).toEqual(["tell c"]);
  expect([queue.operations, queue.since, queue.durable()]).toEqual([0, undefined, undefined]);
});

test("who has seen what is committed waits for it, and hears after the announcements", async () => {
  const { said, push, end, watch } = scene();
  push("a");
  const one = watch("a");
  push("b");
  const both = watch("b");
  await end();
  await one;
  expect(said.splice(0)).toEqual(["sync", "sync", "tell a", "seen a"]);
  await end();
  await both;
  expect(said).toEqual(["tell b", "seen b"]);
});

test("what has changed nothing needs no sync of its own, and overtakes nothing", async () => {
  const { said, push, end, queue } = scene();
  queue.push(group("alone", { wrote: false }));
  expect(said.splice(0)).toEqual(["tell alone"]);
  push("a");
  queue.push(group("behind", { wrote: false }));
  push("b");
  queue.push(group("behind too", { wrote: false }));
  await end();
  expect(said.splice(0)).toEqual(["sync", "sync", "tell a behind"]);
  await end();
  expect(said).toEqual(["tell b behind too"]);
});

test("where each commit is durable by itself, each is told at once", () => {
  const { said, push, queue } = scene({ isPipelined: false });
  push("a", "b");
  expect([said, queue.durable()]).toEqual([["tell a", "tell b"], undefined]);
});

test("beyond a number of operations, or of bytes, a commit waits for the disk itself, and a sync under way tells nothing twice", async () => {
  for (const large of [{ operations: MAX_UNSYNCED }, { bytes: MAX_UNSYNCED_BYTES }]) {
    const { said, push, end, queue } = scene();
    push("a");
    queue.push(group("large", large));
    expect(said.splice(0)).toEqual(["sync", "now", "tell a large"]);
    expect([queue.operations, queue.since]).toEqual([0, undefined]);
    push("b");
    await end();
    // What was committed while that sync was under way is not covered by it.
    expect(said.splice(0)).toEqual(["sync"]);
    await end();
    expect(said).toEqual(["tell b"]);
  }
});

test("a sync that fails is never tried again: everything that waits is refused, in every way to be told", async () => {
  const { said, push, end, watch, queue } = scene();
  push("a");
  const seen = watch("a");
  push("b");
  await end(new Error("EIO"));
  await seen;
  expect(said.splice(0)).toEqual(["sync", "lost unsynced: a b", "a refused: unsynced"]);
  push("c");
  queue.now();
  await end();
  expect(said).toEqual([]);
});

test("the same for one that everything waits for, and what the sync beside it says later changes nothing", async () => {
  for (const later of [undefined, new Error("EIO")]) {
    const { said, push, end, queue, refuseNow } = scene();
    push("a");
    refuseNow(new Error("ENOSPC"));
    queue.now();
    await end(later);
    expect(said).toEqual(["sync", "now", "lost unsynced: a"]);
  }
});

test("when the files are lost, nobody is told of what was synced into them, nor of anything behind it", async () => {
  const { said, push, end, lose, watch } = scene();
  push("a", "b");
  const seen = watch("b");
  lose(new StorageError("replaced", "gone"));
  await end();
  await seen;
  expect(said).toEqual(["sync", "lost replaced: a b", "b refused: replaced"]);
});

test("what is announced may commit something itself", async () => {
  const said: string[] = [];
  const queue: Unsynced<Named> = new Unsynced<Named>({
    log: undefined,
    whyLost: () => undefined,
    tell: (groups) => {
      for (const { name } of groups) {
        said.push(name);
        if (name === "a") queue.push(group("made by a"));
      }
    },
    lost: () => {},
    syncFailed: () => new StorageError("unsynced", ""),
  });
  queue.push(group("a"));
  queue.push(group("b"));
  expect(said).toEqual(["a", "made by a", "b"]);
});
