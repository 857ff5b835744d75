// All routes beside the core (HTTP contract, C5), one file a subject.
import type { HapiContext } from "../../context.ts";
import type { HapiRoutes, Mounting } from "../app.ts";
import type { Guards } from "../kit/found.ts";
import { agentSettingRoutes } from "./agent-settings.ts";
import { branchRoutes } from "./branches.ts";
import { codexPlanRoutes } from "./codex-plan.ts";
import { cursorMigrationRoutes } from "./cursor-migration.ts";
import { cursorStoreRoutes } from "./cursor-store.ts";
import { deviceRoutes } from "./devices.ts";
import { exportRoutes } from "./export.ts";
import { generatedImageRoutes } from "./generated-images.ts";
import { localHistoryRoutes } from "./local-histories.ts";
import { opencodeClearRoutes } from "./opencode-clear.ts";
import { ownerRoutes } from "./owner.ts";
import { pickerRoutes } from "./pickers.ts";
import { restartRunnerRoutes } from "./restart-runner.ts";
import { rewindRoutes } from "./rewind.ts";
import { scratchlistRoutes } from "./scratchlist.ts";
import { steeringRoutes } from "./steering.ts";
import { titleRoutes } from "./titles.ts";
import { workGraphRoutes } from "./work-graph.ts";

export function moreRoutes(context: HapiContext, found: Guards): Required<Pick<HapiRoutes, "api" | "cli">> {
  return {
    api: (app: Mounting) => {
      app.route("/", scratchlistRoutes(context, found));
      app.route("/", titleRoutes(context, found));
      app.route("/", ownerRoutes(context));
      app.route("/", exportRoutes(context));
      app.route("/", generatedImageRoutes(context, found));
      app.route("/", agentSettingRoutes(context, found));
      app.route("/", pickerRoutes(context, found));
      app.route("/", restartRunnerRoutes(context));
      app.route("/", steeringRoutes(context));
      app.route("/", codexPlanRoutes(context, found));
      app.route("/", workGraphRoutes(context));
      app.route("/", deviceRoutes(context));
      app.route("/", rewindRoutes(context, found));
      app.route("/", branchRoutes(context, found));
      app.route("/", localHistoryRoutes(context));
      app.route("/", cursorStoreRoutes(context));
      app.route("/", cursorMigrationRoutes(context, found, "/api"));
    },
    cli: (app: Mounting) => {
      app.route("/", opencodeClearRoutes(context));
      app.route("/", cursorMigrationRoutes(context, found, "/cli"));
    },
  };
}
