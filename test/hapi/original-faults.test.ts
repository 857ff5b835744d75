// Roost has none of the original's faults. That each scene can fail is shown by the released hub itself, where it is installed.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { needs } from "../support/needs.ts";
import type { StartHub } from "./hub-under-test.ts";
import { Acts, FAULTS, type Fault } from "./original-faults.ts";
import { originalHub, startOriginalHub } from "./original-hub.ts";
import { startRoostHub } from "./roost-hub.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(60_000);
const original = needs.installed("the released hapi 0.30.7", originalHub());

async function play(startHub: StartHub, { scene }: Fault): Promise<void> {
  const hub = await startHub();
  let stage: Stage | undefined;
  try {
    stage = await Stage.open(hub);
    const acts = await Acts.on(stage);
    await scene(acts);
  } finally {
    stage?.close();
    await hub.stop();
  }
}

describe("Roost", () => {
  for (const fault of FAULTS) test(fault.name, () => play(startRoostHub, fault));
});

original.describe("the released hub has the fault", () => {
  for (const fault of FAULTS) {
    const { name, fails } = fault;
    if (fails === undefined) continue;
    test(name, async () => {
      const failed = await play(startOriginalHub, fault).then(
        () => "nothing failed",
        (error: unknown) => Bun.stripANSI(`${error}`),
      );
      expect(failed).toMatch(fails);
    });
  }
});
