// Modules of methods that block which the executable carries, by the path that stands for each.
import { BLOCKING } from "../fixtures/blocking-path.ts";

export const BUILTIN_MODULES: Readonly<
  Record<string, () => Promise<typeof import("../fixtures/blocking.ts")>>
> = {
  [BLOCKING]: () => import("../fixtures/blocking.ts"),
};
