// The way from a stored change to the sockets that hear it. Sending is synchronous: whoever publishes inside an announcement keeps
// the commit order on every WebSocket.
import type { Namespace } from "socket.io";
import type { Audience } from "./audience.ts";
import { type Ephemeral, type Update, type UpdateBody, update } from "./wire/updates.ts";

export interface Publisher {
  /** Sends one update; `exceptSocket` is the id of a socket that does not hear it. */
  update(audience: Audience, seq: number, body: UpdateBody, exceptSocket?: string): void;
  ephemeral(audience: Audience, body: Ephemeral): void;
  /**
   * Instead of an update that no socket's queue would hold: the audience's connections end, as they would in any case, and what
   * their clients ask for when they come back has it. Nothing is encoded for it.
   */
  comeAgain(audience: Audience): void;
}

/** Costs what the audience's own sockets cost, however many others there are. */
export function socketPublisher(namespace: Namespace): Publisher {
  const send = (
    audience: Audience,
    event: "update" | "ephemeral",
    body: Update | Ephemeral,
    except?: string,
  ) => {
    const to = namespace.to([...audience]);
    (except === undefined ? to : to.except(except)).emit(event, body);
  };
  return {
    update: (audience, seq, body, exceptSocket) => send(audience, "update", update(seq, body), exceptSocket),
    ephemeral: (audience, body) => send(audience, "ephemeral", body),
    comeAgain: (audience) => {
      const { adapter, sockets } = namespace;
      for (const room of audience)
        for (const id of [...(adapter.rooms.get(room) ?? [])]) sockets.get(id)?.conn.close();
    },
  };
}
