// One scene is one test of the story in run.ts: it shows the end of every log when it fails, and is not tried once an earlier one
// failed, because each builds on the ones before. The world around them opens with the first and closes after the last.
import { afterAll, beforeAll, test } from "bun:test";
import { World } from "./world.ts";

/** Long enough for a Node process to start on a busy two-core machine; what the server itself owes is bounded tighter. */
export const boundMs = 30_000;
const sceneMs = 90_000;
/** The first run downloads the CLI. */
const openMs = 600_000;

export let world: World;
let broken: string | undefined;

beforeAll(async () => {
  world = await World.open();
}, openMs);

afterAll(async () => {
  await world?.close();
}, sceneMs);

export function scene(promise: string, body: () => Promise<void>): void {
  test(
    promise,
    async () => {
      if (broken !== undefined) throw `Not tried, because "${broken}" failed before.`;
      try {
        await body();
      } catch (error) {
        broken = promise;
        console.error(world.report());
        throw error;
      }
    },
    sceneMs,
  );
}
