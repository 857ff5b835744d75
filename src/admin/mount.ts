// What the admin channel answers: the house's own questions, and the routes that each protocol brings. A command that has the
// databases to itself asks the same routes without a channel.
import { type Context, Hono } from "hono";

/** What a running server knows of its callers, for the doctor. */
export interface CallersSeen {
  readonly sharedAddresses: readonly string[];
  readonly refused: Readonly<Record<string, number>>;
}

/** @param routes of the protocols, which must not answer what they do not know. */
export function adminApp(routes: readonly (Hono | undefined)[], limits?: () => CallersSeen): Hono {
  const app = new Hono();
  if (limits !== undefined) app.get("/limits", (context) => context.json(limits()));
  for (const of of routes) if (of !== undefined) app.route("/", of);
  app.notFound((context) =>
    refusal(context, "The running server does not know this command: it may be of another version."),
  );
  app.onError((error, context) =>
    context.json({ error: error.message }, error.name === "ZodError" ? 400 : 500),
  );
  return app;
}

export const refusal = (context: Context, error: string) => context.json({ error }, 404);
