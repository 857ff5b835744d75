// A Socket.IO adapter that carries broadcasts to the other nodes (and fetchSockets, socketsJoin, serverSideEmit with them). The sockets
// of this node always hear first, within the call: what orders commits and announcements here must not wait for a bus.
import type { Namespace } from "socket.io";
import {
  Adapter,
  type BroadcastOptions,
  ClusterAdapterWithHeartbeat,
  type ClusterMessage,
  type ClusterResponse,
  MessageType,
  type Room,
} from "socket.io-adapter";
import type { SocketBus } from "./socket-bus.ts";

export interface BusAdapterOptions {
  readonly bus: SocketBus;
  /**
   * All namespaces of the server are one audience: whoever broadcasts does so to `/` and to every other namespace of its own node,
   * so only what is said in `/` crosses the bus, and every namespace of the other nodes hears it.
   */
  readonly oneAudience: boolean;
}

/** For the `adapter` option of a Socket.IO server. */
export function busAdapter(options: BusAdapterOptions): (namespace: Namespace) => Adapter {
  // Socket.IO calls it with `new`; what it returns is the adapter.
  return function adapterFor(namespace: Namespace): Adapter {
    if (options.oneAudience && namespace.name !== "/") return new Adapter(namespace);
    return new BusAdapter(namespace, options);
  };
}

const HEARTBEAT_MS = 5_000;
const NODE_GONE_MS = 15_000;

class BusAdapter extends ClusterAdapterWithHeartbeat {
  constructor(
    private readonly namespace: Namespace,
    private readonly options: BusAdapterOptions,
  ) {
    super(namespace, { heartbeatInterval: HEARTBEAT_MS, heartbeatTimeout: NODE_GONE_MS });
    options.bus.listen(namespace.name, (message) => this.onMessage(message));
  }

  override close(): void {
    super.close();
    this.options.bus.leave(this.namespace.name);
  }

  /** Throws what encoding throws, as the adapter of a single node does. */
  override broadcast(packet: unknown, opts: BroadcastOptions): Promise<void> {
    Adapter.prototype.broadcast.call(this, packet, opts);
    if (!opts.flags?.local)
      this.publish({ type: MessageType.BROADCAST, data: { packet, opts: plain(opts) } });
    return Promise.resolve();
  }

  override async addSockets(opts: BroadcastOptions, rooms: Room[]): Promise<void> {
    Adapter.prototype.addSockets.call(this, opts, rooms);
    if (!opts.flags?.local)
      this.publish({ type: MessageType.SOCKETS_JOIN, data: { opts: plain(opts), rooms } });
  }

  override async delSockets(opts: BroadcastOptions, rooms: Room[]): Promise<void> {
    Adapter.prototype.delSockets.call(this, opts, rooms);
    if (!opts.flags?.local)
      this.publish({ type: MessageType.SOCKETS_LEAVE, data: { opts: plain(opts), rooms } });
  }

  override async disconnectSockets(opts: BroadcastOptions, close: boolean): Promise<void> {
    Adapter.prototype.disconnectSockets.call(this, opts, close);
    if (!opts.flags?.local)
      this.publish({ type: MessageType.DISCONNECT_SOCKETS, data: { opts: plain(opts), close } });
  }

  override onMessage(message: ClusterMessage, offset?: string): void {
    super.onMessage(message, offset);
    if (!this.options.oneAudience || message.type !== MessageType.BROADCAST || message.uid === this.uid)
      return;
    const { packet, opts } = message.data;
    for (const { name, adapter } of this.namespace.server._nsps.values()) {
      if (name !== this.namespace.name)
        adapter.broadcast(
          { ...Object(packet) },
          { rooms: new Set(opts.rooms), except: new Set(opts.except) },
        );
    }
  }

  protected override async doPublish(message: ClusterMessage): Promise<string> {
    this.options.bus.send(message);
    return "";
  }

  protected override async doPublishResponse(_requester: string, response: ClusterResponse): Promise<void> {
    this.options.bus.send(response);
  }
}

function plain({ rooms, except, flags }: BroadcastOptions) {
  return { rooms: [...rooms], except: [...(except ?? [])], flags: flags ?? {} };
}
