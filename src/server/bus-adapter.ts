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

/** For the `adapter` option of a Socket.IO server. What is said in a namespace without a bus stays on its node. */
export function busAdapters(
  busOf: (namespace: string) => SocketBus | undefined,
): (namespace: Namespace) => Adapter {
  // Socket.IO calls it with `new`; what it returns is the adapter.
  return function adapterFor(namespace: Namespace): Adapter {
    const bus = busOf(namespace.name);
    return bus === undefined ? new Adapter(namespace) : new BusAdapter(namespace, bus);
  };
}

const HEARTBEAT_MS = 5_000;
const NODE_GONE_MS = 15_000;

class BusAdapter extends ClusterAdapterWithHeartbeat {
  constructor(
    namespace: Namespace,
    private readonly bus: SocketBus,
  ) {
    super(namespace, { heartbeatInterval: HEARTBEAT_MS, heartbeatTimeout: NODE_GONE_MS });
    bus.listen((message) => this.onMessage(message));
  }

  override close(): void {
    super.close();
    this.bus.leave();
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

  protected override async doPublish(message: ClusterMessage): Promise<string> {
    this.bus.send(message);
    return "";
  }

  protected override async doPublishResponse(_requester: string, response: ClusterResponse): Promise<void> {
    this.bus.send(response);
  }
}

function plain({ rooms, except, flags }: BroadcastOptions) {
  return { rooms: [...rooms], except: [...(except ?? [])], flags: flags ?? {} };
}
