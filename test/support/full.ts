// How large a proof by repetition is: small by default and in CI, full with ROOST_TEST_FULL=1. What is asserted is the same.
import { noteShortened } from "./needs.ts";

/** For a part of a test that has no smaller form. */
export const FULL = process.env.ROOST_TEST_FULL === "1";

/** @example const KILLS = rounds(6, 100); */
export function rounds(small: number, full: number): number {
  if (!FULL && small < full) noteShortened();
  return FULL ? full : small;
}
