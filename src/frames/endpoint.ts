// The hub's WebSocket path at the front door: upgrades what may come in, and hands the socket's events to its client.
import type { Logger } from "pino";
import type { Peer } from "../server/peer.ts";
import type { SocketEndpoint } from "../server/socket-endpoint.ts";
import type { Admission, Admitted } from "./admission.ts";
import type { Client } from "./client.ts";
import type { Hub } from "./hub.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { HubMetrics } from "./metrics.ts";

/** From the upgrade to the last event of one socket. */
class ConnectionSlot {
  client: Client | undefined;
  constructor(readonly admitted: Admitted) {}
}

export interface EndpointParts {
  readonly path: string;
  /** Bytes that one socket may buffer. */
  readonly maxQueuedBytes: number;
  readonly hub: Hub;
  readonly admission: Admission;
  readonly settings: Pick<HubSettings, "readBufferSize" | "readTimeoutMs">;
  readonly metrics: Pick<HubMetrics, "criticalErrors">;
  readonly log: Logger;
}

export function hubEndpoint(parts: EndpointParts): SocketEndpoint {
  const { path, maxQueuedBytes, hub, admission, settings, metrics, log } = parts;
  const clientOf = (peer: Peer): Client | undefined =>
    peer.data instanceof ConnectionSlot ? peer.data.client : undefined;
  return {
    path,
    limits: {
      maxMessageBytes: settings.readBufferSize,
      maxQueuedBytes,
      // The hub's own heartbeat decides, also after its deadline was raised; the door's reaper must not be faster.
      silenceSeconds: Math.max(960, Math.ceil((settings.readTimeoutMs / 1_000) * 1.2) + 5),
    },
    handle: async (request, upgrader, facts) => {
      if (request.method !== "GET") return plain(405, "only GET", { allow: "GET" });
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
        return plain(426, "this is a WebSocket endpoint", { upgrade: "websocket", connection: "Upgrade" });
      const admitted = await admission.admit(request, facts);
      if (admitted instanceof Response) return admitted;
      const { identity, share } = admitted;
      // Counted before the socket opens, so that handshakes of one moment do not all find the same place.
      share.clients++;
      if (!upgrader.upgrade(request, { data: new ConnectionSlot(admitted) })) {
        share.clients--;
        return plain(400, "this is not a WebSocket handshake");
      }
      if (identity.subject !== undefined) facts.caller.authenticated(`frames/${identity.subject}`);
      return new Response(null);
    },
    open: (peer) => {
      const slot = peer.data;
      if (!(slot instanceof ConnectionSlot)) return;
      const { identity, share } = slot.admitted;
      // Between admission and now another client may have come for the same id.
      if (admission.isTaken(identity)) peer.close(1008, "this client id is in use");
      else slot.client = hub.register(identity, peer, share);
    },
    message: (peer, message) => {
      const client = clientOf(peer);
      // What still arrives from a connection that is being closed.
      if (client === undefined || client.closed) return;
      try {
        hub.receive(client, message);
      } catch (error) {
        // A message on which the hub itself fails costs its client's connection, and no other.
        metrics.criticalErrors.add();
        log.error(
          { err: error, client: client.id },
          "the hub failed on a message; its client was disconnected",
        );
        peer.close(1011, "internal error");
      }
    },
    drain: (peer) => clientOf(peer)?.drained(),
    alive: (peer) => clientOf(peer)?.alive(),
    close: (peer, code, reason) => {
      if (peer.data instanceof ConnectionSlot) peer.data.admitted.share.clients--;
      clientOf(peer)?.ended(code, reason);
    },
    shutdown: async () => hub.close(),
  };
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
