// Which build this is. build.ts puts the facts in; from source they are read from package.json.
import packageJson from "../package.json" with { type: "json" };

declare const ROOST_COMMIT: string | undefined;
declare const ROOST_BUILT: string | undefined;

export const build = {
  version: packageJson.version,
  commit: typeof ROOST_COMMIT === "string" ? ROOST_COMMIT : "from source",
  date: typeof ROOST_BUILT === "string" ? ROOST_BUILT : "not built",
} as const;
