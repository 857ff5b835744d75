// One account's sockets of every kind beside a stranger's, to see who hears of a call and who must not.
import { type Account, type Heard, newAccount } from "./happy-client.ts";

export interface Audience {
  readonly stranger: Account;
  readonly sockets: Readonly<Record<string, Awaited<ReturnType<Account["connect"]>>>>;
  /** What each heard since the last look, by its name; whoever heard nothing is not in it. Updates are `[seq, body]`. */
  heard(): Promise<Record<string, unknown[]>>;
  close(): void;
}

/** Sockets scoped to that session and machine, to others, a phone, and a stranger's that claim the same scopes. */
export async function audience(account: Account, session: string, machine = "no machine"): Promise<Audience> {
  const stranger = await newAccount(account.url);
  const toSession = { clientType: "session-scoped", sessionId: session };
  const toMachine = { clientType: "machine-scoped", machineId: machine };
  const sockets = {
    phone: await account.connect(),
    session: await account.connect(toSession),
    otherSession: await account.connect({ clientType: "session-scoped", sessionId: `not ${session}` }),
    machine: await account.connect(toMachine),
    otherMachine: await account.connect({ clientType: "machine-scoped", machineId: `not ${machine}` }),
    strangersPhone: await stranger.connect(),
    strangersSession: await stranger.connect(toSession),
    strangersMachine: await stranger.connect(toMachine),
  };
  // Machines' sockets are announced when they come.
  const comes = (id: string) => (body: { id: string }) => body.id === id;
  await sockets.phone.untilEphemeral("machine-activity", comes(machine));
  await sockets.phone.untilEphemeral("machine-activity", comes(`not ${machine}`));
  await sockets.strangersPhone.untilEphemeral("machine-activity", comes(machine));
  for (const listener of Object.values(sockets)) listener.heard.length = 0;
  return {
    stranger,
    sockets,
    heard: async () => {
      const heard: Record<string, unknown[]> = {};
      for (const [name, listener] of Object.entries(sockets)) {
        await listener.settled();
        if (listener.heard.length > 0) heard[name] = listener.heard.splice(0).map(brief);
      }
      return heard;
    },
    close: () => {
      for (const listener of Object.values(sockets)) listener.close();
    },
  };
}

const brief = ({ event, body }: Heard) => (event === "update" ? [body.seq, body.body] : body);
