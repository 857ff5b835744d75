// The routes of the admin channel about the hub: the same in a server, behind its channel, and in a command that has the database to
// itself. The access token is not among them: it stands in a file that only its owner may read.
import { type Context, Hono } from "hono";
import { refusal } from "../admin/mount.ts";
import type { Administration } from "./administration.ts";

export function adminRoutes(administration: Administration): Hono {
  const app = new Hono().basePath("/hapi");
  app.get("/namespaces", async (context) => context.json({ namespaces: await administration.namespaces() }));
  app.get("/namespaces/:name/sessions", (context) =>
    onNamespace(context, administration, async (name) => ({ sessions: await administration.sessions(name) })),
  );
  app.get("/namespaces/:name/machines", (context) =>
    onNamespace(context, administration, async (name) => ({ machines: await administration.machines(name) })),
  );
  app.get("/namespaces/:name/subscribers", (context) =>
    onNamespace(context, administration, async (name) => ({
      subscribers: await administration.subscribers(name),
    })),
  );
  app.get("/machines", async (context) => context.json({ machines: await administration.machines() }));
  app.get("/subscribers", async (context) =>
    context.json({ subscribers: await administration.subscribers() }),
  );
  app.post("/subscribers/:id/remove", async (context) =>
    (await administration.unsubscribe(context.req.param("id")))
      ? context.json({})
      : refusal(context, "Nobody is notified under this id."),
  );
  app.post("/namespaces/:name/remove", async (context) => {
    const gone = await administration.remove(context.req.param("name"));
    return gone === undefined ? noNamespace(context) : context.json(gone);
  });
  return app;
}

async function onNamespace(
  context: Context,
  administration: Administration,
  look: (namespace: string) => Promise<object>,
): Promise<Response> {
  const name = context.req.param("name") ?? "";
  return (await administration.has(name)) ? context.json(await look(name)) : noNamespace(context);
}

const noNamespace = (context: Context) => refusal(context, "There is no such namespace.");
