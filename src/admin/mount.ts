// What the admin channel answers: the house's own questions, and the routes that each protocol brings. A command that has the
// databases to itself asks the same routes without a channel.
import { type Context, Hono } from "hono";

/** What a running server knows of its callers, for the doctor. */
export interface CallersSeen {
  readonly sharedAddresses: readonly string[];
  readonly refused: Readonly<Record<string, number>>;
}

export interface AdminParts {
  /** Of the protocols, which must not answer what they do not know. */
  readonly routes: readonly (Hono | undefined)[];
  /** Names of the protocols that are served, for a command that asks for another one. */
  readonly serves: readonly string[];
  readonly limits?: () => CallersSeen;
}

export function adminApp({ routes, serves, limits }: AdminParts): Hono {
  const app = new Hono();
  if (limits !== undefined) app.get("/limits", (context) => context.json(limits()));
  for (const of of routes) if (of !== undefined) app.route("/", of);
  app.notFound((context) =>
    context.json(
      { error: "The running server does not know this command: it may be of another version.", serves },
      404,
    ),
  );
  app.onError((error, context) =>
    context.json({ error: error.message }, error.name === "ZodError" ? 400 : 500),
  );
  return app;
}

export const refusal = (context: Context, error: string) => context.json({ error }, 404);
