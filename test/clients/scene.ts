// One scene is one test of a story: it shows the end of every log when it fails, and is not tried once an earlier one failed, because
// each builds on the ones before. The world around a story opens with its first scene and closes after its last.
import { afterAll, beforeAll, test } from "bun:test";
import { currentRelease, type HappyRelease } from "./happy-release.ts";
import { World } from "./world.ts";

/** Long enough for a Node process to start on a busy two-core machine; what the server itself owes is bounded tighter. */
export const boundMs = 60_000;
const sceneMs = 240_000;
/** The first run downloads the CLI. */
const openMs = 600_000;

/** What is around a story. */
interface Surroundings {
  /** The end of every log. */
  report(): string;
  close(): Promise<void>;
}

export interface Story<Around extends Surroundings = World> {
  /** Open while scenes run. */
  readonly world: Around;
  scene(promise: string, body: () => Promise<void>): void;
}

/** Call it where its scenes are: at the top of a file, or in a `describe`. */
export const story = (release: HappyRelease = currentRelease): Story => storyIn(() => World.open(release));

/** The same around a world of another kind. */
export function storyIn<Around extends Surroundings>(open: () => Promise<Around>): Story<Around> {
  let world: Around | undefined;
  let broken: string | undefined;
  beforeAll(async () => {
    world = await open();
  }, openMs);
  afterAll(async () => {
    await world?.close();
  }, sceneMs);
  return {
    get world() {
      if (world === undefined) throw new Error("The world is not open yet.");
      return world;
    },
    scene: (promise, body) =>
      test(
        promise,
        async () => {
          if (broken !== undefined) throw `Not tried, because "${broken}" failed before.`;
          try {
            await body();
          } catch (error) {
            broken = promise;
            console.error(world?.report());
            throw error;
          }
        },
        sceneMs,
      ),
  };
}
