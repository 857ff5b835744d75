// What `roost hapi` asks and how it tells the answer. Names that clients chose are shown by the table, which takes away what would steer
// the terminal.
import { z } from "zod";
import type { Ask } from "../../admin/client.ts";
import { plain, size, table, when } from "../../cli/table.ts";

export interface Question<T = unknown> {
  /** Words that follow its own. */
  readonly least: number;
  readonly most: number;
  /** Says what would be lost; then it runs only with --yes. */
  readonly confirm?: (name: string) => string;
  ask(ask: Ask, name: string | undefined): Promise<T>;
  /** The text for the person. */
  tell(answer: T, name: string | undefined): string;
}

/** What is told is what was asked for. */
const question = <T>(parts: Question<T>): Question => parts as Question;

const path = (...parts: string[]) => `/hapi/${parts.map(encodeURIComponent).join("/")}`;
/** Of one namespace, or of all. */
const listPath = (kind: string, name: string | undefined) =>
  name === undefined ? path(kind) : path("namespaces", name, kind);

const namespaceList = z.object({
  namespaces: z.array(
    z.object({
      namespace: z.string(),
      sessions: z.number(),
      machines: z.number(),
      messages: z.number(),
      bytes: z.number(),
      pushSubscriptions: z.number(),
      devices: z.number(),
      bindings: z.number(),
      createdAt: z.number(),
      lastSeenAt: z.number(),
      connections: z.number(),
    }),
  ),
});

export const namespaces = question({
  least: 0,
  most: 0,
  ask: async (ask) => namespaceList.parse(await ask("GET", path("namespaces"))),
  tell: ({ namespaces: all }) =>
    all.length === 0
      ? "There is no namespace yet: the first client makes one.\n"
      : table(
          ["NAMESPACE", "SESSIONS", "MACHINES", "MESSAGES", "SIZE", "NOTIFIED", "LAST SEEN"],
          all.map((one) => [
            one.namespace,
            String(one.sessions),
            String(one.machines),
            String(one.messages),
            size(one.bytes),
            String(one.pushSubscriptions + one.devices + one.bindings),
            one.connections > 0 ? "connected" : when(one.lastSeenAt),
          ]),
        ),
});

const sessionList = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      name: z.string().nullable(),
      path: z.string().nullable(),
      host: z.string().nullable(),
      flavor: z.string().nullable(),
      active: z.boolean(),
      pinned: z.boolean(),
      bytes: z.number(),
      createdAt: z.number(),
      lastSeenAt: z.number(),
    }),
  ),
});

export const sessions = question({
  least: 1,
  most: 1,
  ask: async (ask, name = "") => sessionList.parse(await ask("GET", listPath("sessions", name))),
  tell: ({ sessions: all }) =>
    all.length === 0
      ? "It has no session.\n"
      : table(
          ["SESSION", "NAME", "AGENT", "WHERE", "SIZE", "LAST SEEN"],
          all.map((one) => [
            one.id,
            `${one.name ?? "-"}${one.pinned ? " (pinned)" : ""}`,
            one.flavor ?? "-",
            [one.host, one.path].filter((part) => part !== null).join(":") || "-",
            size(one.bytes),
            one.active ? "at work" : when(one.lastSeenAt),
          ]),
        ),
});

const machineList = z.object({
  machines: z.array(
    z.object({
      id: z.string(),
      namespace: z.string(),
      name: z.string().nullable(),
      platform: z.string().nullable(),
      version: z.string().nullable(),
      active: z.boolean(),
      createdAt: z.number(),
      lastSeenAt: z.number(),
    }),
  ),
});

export const machines = question({
  least: 0,
  most: 1,
  ask: async (ask, name) => machineList.parse(await ask("GET", listPath("machines", name))),
  tell: ({ machines: all }) =>
    all.length === 0
      ? "There is no machine.\n"
      : table(
          ["MACHINE", "NAMESPACE", "NAME", "PLATFORM", "CLI", "LAST SEEN"],
          all.map((one) => [
            one.id,
            one.namespace,
            one.name ?? "-",
            one.platform ?? "-",
            one.version ?? "-",
            one.active ? "there" : when(one.lastSeenAt),
          ]),
        ),
});

const subscriberList = z.object({
  subscribers: z.array(
    z.object({
      id: z.string(),
      namespace: z.string(),
      kind: z.string(),
      where: z.string(),
      createdAt: z.number(),
    }),
  ),
});

export const subscribers = question({
  least: 0,
  most: 1,
  ask: async (ask, name) => subscriberList.parse(await ask("GET", listPath("subscribers", name))),
  tell: ({ subscribers: all }) =>
    all.length === 0
      ? "Nobody is notified.\n"
      : table(
          ["ID", "NAMESPACE", "KIND", "WHERE", "SINCE"],
          all.map((one) => [one.id, one.namespace, one.kind, one.where, when(one.createdAt)]),
        ),
});

export const unsubscribe = question({
  least: 1,
  most: 1,
  ask: async (ask, name = "") => {
    await ask("POST", path("subscribers", name, "remove"));
    return { removed: name };
  },
  tell: ({ removed }) => `${plain(removed)} is notified no more.\n`,
});

const deleted = z.object({ sessions: z.number(), machines: z.number() });

export const remove = question({
  least: 1,
  most: 1,
  confirm: (name) =>
    `This deletes the namespace ${plain(name)} with all its sessions, messages, machines and subscriptions, for ever. Add --yes if you mean it.`,
  ask: async (ask, name = "") => ({
    namespace: name,
    ...deleted.parse(await ask("POST", path("namespaces", name, "remove"))),
  }),
  tell: ({ namespace, ...gone }) =>
    `The namespace ${plain(namespace)} is deleted with ${gone.sessions} sessions and ${gone.machines} machines. Runners that are in it must be started again.\n`,
});
