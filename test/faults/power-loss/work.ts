// Writes into every store at once, again and again, so that group commits hold things of several stores, while others read what is new.
import type { ServerProcess } from "../server-process.ts";
import { markOf, openWorld, STORES, type Store, type World } from "./stores.ts";

/** Calls it for each mark of a store that was acknowledged. @returns the world, whose account and session later looks use. */
export async function workInAllStores(
  server: ServerProcess,
  dataDir: string,
  counts: ReadonlyMap<Store, { readonly from: number; readonly to: number }>,
  known?: World,
): Promise<World> {
  const world = await openWorld(server, dataDir, known);
  let isOver = false;
  const readers = STORES.map(async ({ peek }) => {
    while (peek !== undefined && !isOver)
      await peek(world).catch((error: unknown) => {
        // What went wrong before is what is told.
        if (!isOver) throw error;
      });
  });
  const writers = Promise.all(
    [...counts].map(async ([store, { from, to }]) => {
      for (let index = from; index < to; index++)
        await store.put(world, markOf(STORES.indexOf(store), index)).catch((error: unknown) => {
          throw new Error(`${store.name}: ${error instanceof Error ? error.message : String(error)}`);
        });
    }),
  );
  await writers.finally(() => {
    isOver = true;
  });
  await Promise.all(readers);
  world.close();
  return world;
}
