// So many pieces of work at one time, the others in their order, and a lane is free again however its work ended.
import { expect, test } from "bun:test";
import { Lanes } from "./lanes.ts";

test("the work goes on in order, never more at one time than there are lanes, also after a failure", async () => {
  const lanes = new Lanes(2);
  const begun: number[] = [];
  let [running, most] = [0, 0];
  const ends = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const works = ends.map((end, n) =>
    lanes.run(async () => {
      begun.push(n);
      most = Math.max(most, ++running);
      try {
        await end.promise;
      } finally {
        running--;
      }
      return n;
    }),
  );
  const settled = Promise.allSettled(works);
  expect(begun).toEqual([0, 1]);
  ends[1]?.reject(new Error("broken"));
  await works[1]?.catch(() => {});
  expect(begun).toEqual([0, 1, 2]);
  // The lane went to the next in line: it is not free besides.
  const late = lanes.run(async () => begun.push(6));
  expect(begun).toEqual([0, 1, 2]);
  for (const { resolve } of ends) resolve();
  expect((await settled).map(({ status }) => status === "fulfilled")).toEqual([
    true,
    false,
    true,
    true,
    true,
    true,
  ]);
  await late;
  expect([begun, most]).toEqual([[0, 1, 2, 3, 4, 5, 6], 2]);
  // All lanes are free again.
  const again = [lanes.run(async () => begun.push(7)), lanes.run(async () => begun.push(8))];
  expect(begun.slice(7)).toEqual([7, 8]);
  await Promise.all(again);
});
