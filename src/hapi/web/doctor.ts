// The doctor's look at the web app: whether one is installed, whole, and where it came from.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Finding, ok, skipped, warning } from "../../doctor/finding.ts";
import type { HapiConfig } from "../settings.ts";
import { fromWhere } from "./command.ts";
import { copiesIn, pointerIn } from "./copies.ts";
import { standing } from "./standing.ts";

const CHECK = "hapi-web";

export function webAppFinding(config: HapiConfig): Finding {
  const { dataDir, hapiWebDir: named } = config;
  const stands = standing(config);
  if (stands === undefined) {
    const pointer = pointerIn(copiesIn(dataDir));
    if (!existsSync(pointer))
      return skipped(CHECK, "HAPI's web app is not installed; roost hapi web install gets it.");
    return warning(CHECK, `${pointer} does not say which copy of HAPI's web app is served.`, {
      fix: "roost hapi web install",
    });
  }
  const { folder, note, files } = stands;
  if (!existsSync(join(folder, "index.html")))
    return warning(CHECK, `The folder of HAPI's web app, ${folder}, has no index.html: it is not served.`, {
      fix: named === undefined ? "roost hapi web install" : "Name another folder with --hapi-web-dir.",
    });
  if (named !== undefined) return ok(CHECK, `HAPI's web app is the one in ${folder}.`);
  if (note === undefined || note.files !== files)
    return warning(
      CHECK,
      `The copy of HAPI's web app in ${folder} is not whole: it has ${files} of ${note?.files ?? "an unknown number of"} files.`,
      { fix: "roost hapi web update" },
    );
  return ok(CHECK, `HAPI's web app is installed, ${fromWhere(note)}.`);
}
