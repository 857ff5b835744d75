// All shared recordings as tests, one a recording, against a hub that is handed in. Entries of one file build on each other; a file has a
// hub of its own.
import { afterAll, beforeAll, expect, type test } from "bun:test";
import { CliReplay } from "./cli-replay.ts";
import { type HttpRecording, httpRecordings } from "./http-recordings.ts";
import { HttpReplay } from "./http-replay.ts";
import type { HubUnderTest, StartHub } from "./hub-under-test.ts";
import { realCliSteps, type SocketRecording, scriptedSteps, socketLegend } from "./socket-recordings.ts";
import { replaySocketStep } from "./socket-replay.ts";
import { Stage } from "./stage.ts";

/** Where a hub may answer something else than was recorded, and which rule says so. By the recording's name. */
export type Alternatives = Readonly<
  Record<string, { readonly why: string; readonly response: Partial<HttpRecording["response"]> }>
>;

const STEP_MS = 30_000;
const OPEN_MS = 60_000;

/** What the three replays have in common: what was tried, under which name, against which hub. */
export interface Replay<Entry> {
  readonly entries: readonly Entry[];
  nameOf(entry: Entry): string;
  open(hub: HubUnderTest): Promise<{ step(entry: Entry): Promise<string[]>; close(): void }>;
}

export const httpReplay: Replay<HttpRecording> = {
  entries: httpRecordings,
  nameOf: ({ name }) => name,
  open: async (hub) => new HttpReplay(hub),
};

export const socketReplay: Replay<SocketRecording> = {
  entries: scriptedSteps,
  nameOf: ({ step }) => step,
  open: async (hub) => {
    const stage = await Stage.open(hub);
    return { step: (entry) => replaySocketStep(stage, entry), close: () => stage.close() };
  },
};

export const cliReplay: Replay<SocketRecording> = {
  entries: realCliSteps,
  nameOf: ({ step }) => step,
  open: async (hub) => {
    const stage = await Stage.open(hub);
    const replay = new CliReplay(stage);
    const close = () => {
      replay.close();
      stage.close();
    };
    return { step: (entry) => replay.step(entry), close };
  },
};

/** One test a recording, in order. Call it in a `describe`. */
export function testReplay<Entry>(
  { entries, nameOf, open }: Replay<Entry>,
  startHub: StartHub,
  register: typeof test,
): void {
  let hub: HubUnderTest | undefined;
  let replay: Awaited<ReturnType<typeof open>> | undefined;
  // Where nothing runs, nothing is started either.
  beforeAll(async () => {
    hub = await startHub();
    replay = await open(hub);
  }, OPEN_MS);
  afterAll(async () => {
    replay?.close();
    await hub?.stop();
  }, OPEN_MS);
  for (const entry of entries)
    register(nameOf(entry), async () => expectNone((await replay?.step(entry)) ?? ["not open"]), STEP_MS);
}

/** The same recordings where some may be answered in another way too. */
export function withAlternatives(
  replay: Replay<HttpRecording>,
  alternatives: Alternatives,
): Replay<HttpRecording> {
  const unknown = Object.keys(alternatives).filter(
    (name) => !replay.entries.some((entry) => replay.nameOf(entry) === name),
  );
  if (unknown.length > 0) throw new Error(`There is no recording ${unknown.join(", ")}.`);
  return {
    ...replay,
    open: async (hub) => {
      const opened = await replay.open(hub);
      const step = async (entry: HttpRecording) => {
        const wrong = await opened.step(entry);
        const other = alternatives[replay.nameOf(entry)];
        if (wrong.length === 0 || other === undefined) return wrong;
        const again = await opened.step({ ...entry, response: { ...entry.response, ...other.response } });
        return again.length === 0 ? [] : [...wrong, `nor as ${other.why} says:`, ...again];
      };
      return { ...opened, step, close: () => opened.close() };
    },
  };
}

/** @throws Error that names every difference on a line of its own. */
function expectNone(differences: readonly string[]): void {
  if (differences.length > 0) throw new Error(`The hub differs:\n  ${differences.join("\n  ")}`);
  expect(differences).toEqual([]);
}

/** How many entries the files have: none may get lost on the way. */
export const counts = {
  http: httpRecordings.length,
  socket: [socketLegend, ...scriptedSteps, ...realCliSteps].length,
};
