// What the hub counts, under the names of frames contract, section 16.
import type { Counter, Gauge, Histogram, Metrics } from "../observability/metrics.ts";

export interface HubMetrics {
  readonly connectedClients: Gauge;
  readonly activeRooms: Gauge;
  readonly connections: Counter;
  readonly disconnections: Counter;
  readonly messages: Counter;
  readonly messagesIn: Counter;
  readonly messagesOut: Counter;
  readonly messageSize: Histogram;
  readonly messageLatency: Histogram;
  readonly roomJoins: Counter;
  readonly roomLeaves: Counter;
  readonly roomMessages: Counter;
  readonly errors: Counter;
  readonly criticalErrors: Counter;
  readonly authSuccess: Counter;
  readonly authFailure: Counter;
  readonly dropped: Counter;
  readonly queuedBytes: Gauge;
}

export const DROPPED_FULL = { reason: "buffer_full" };
export const DROPPED_CLOSED = { reason: "closed" };

export function hubMetrics(metrics: Metrics): HubMetrics {
  const dropped = metrics.counter("gohub_messages_dropped_total", "Frames that no client got", true);
  for (const labels of [DROPPED_FULL, DROPPED_CLOSED]) dropped.add(0, labels);
  return {
    connectedClients: metrics.gauge("gohub_connected_clients", "Clients of this node"),
    connections: metrics.counter("gohub_connection_rate", "Clients that connected"),
    disconnections: metrics.counter("gohub_disconnection_rate", "Clients that disconnected"),
    messages: metrics.counter("gohub_messages_total", "Messages from clients"),
    messagesIn: metrics.counter("gohub_message_rate_in", "Messages from clients"),
    messagesOut: metrics.counter("gohub_message_rate_out", "Frames handed to clients"),
    messageSize: metrics.histogram(
      "gohub_message_size",
      "Bytes of messages from clients",
      [64, 256, 1024, 4096, 16_384, 65_536, 262_144],
    ),
    activeRooms: metrics.gauge("gohub_active_rooms", "Rooms of this node"),
    roomJoins: metrics.counter("gohub_room_joins", "Clients that joined a room"),
    roomLeaves: metrics.counter("gohub_room_leaves", "Clients that left a room"),
    roomMessages: metrics.counter("gohub_room_messages", "Messages to rooms"),
    messageLatency: metrics.histogram(
      "gohub_message_latency",
      "Milliseconds from a client's ping to the server",
      [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000],
    ),
    errors: metrics.counter("gohub_errors_total", "Failures of handlers and operations"),
    criticalErrors: metrics.counter("gohub_critical_errors_total", "Failures of the hub itself"),
    authSuccess: metrics.counter("gohub_auth_success", "Tokens that were accepted"),
    authFailure: metrics.counter("gohub_auth_failure", "Tokens that were refused"),
    dropped,
    queuedBytes: metrics.gauge("gohub_queued_bytes", "Bytes that wait in the hub, of all clients together"),
  };
}
