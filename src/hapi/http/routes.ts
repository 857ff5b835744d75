// All routes of the hub, one file a subject.
import type { HapiContext } from "../context.ts";
import type { HapiRoutes, Mounting } from "./app.ts";
import { cliMachineRoutes } from "./cli-machines.ts";
import { cliSessionRoutes } from "./cli-sessions.ts";
import { hubSettingsRoutes } from "./hub-settings.ts";
import { guards } from "./kit/found.ts";
import { lifecycleRoutes } from "./lifecycle.ts";
import { machineRoutes } from "./machines.ts";
import { messageRoutes } from "./messages.ts";
import { moreRoutes } from "./more/routes.ts";
import { permissionRoutes } from "./permissions.ts";
import { pushSubscriptionRoutes } from "./push-subscriptions.ts";
import { sessionConfigRoutes } from "./session-config.ts";
import { sessionFileRoutes } from "./session-files.ts";
import { sessionRoutes } from "./sessions.ts";
import { uploadRoutes } from "./uploads.ts";

export function hapiRoutes(context: HapiContext): Required<Pick<HapiRoutes, "api" | "cli">> {
  const found = guards(context.hub);
  const more = moreRoutes(context, found);
  return {
    api: (app: Mounting) => {
      app.route("/", sessionRoutes(context, found));
      app.route("/", lifecycleRoutes(context, found));
      app.route("/", sessionConfigRoutes(context, found));
      app.route("/", messageRoutes(context, found));
      app.route("/", permissionRoutes(context, found));
      app.route("/", sessionFileRoutes(context, found));
      app.route("/", uploadRoutes(context, found));
      app.route("/", machineRoutes(context, found));
      app.route("/", hubSettingsRoutes(context));
      app.route("/", pushSubscriptionRoutes(context));
      more.api(app);
    },
    cli: (app: Mounting) => {
      app.route("/", cliSessionRoutes(context, found));
      app.route("/", cliMachineRoutes(context));
      more.cli(app);
    },
  };
}
