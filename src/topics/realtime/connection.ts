// One accepted socket: what it may ask, how often, and until when. No payload can drop the socket or end the process.
import type { Socket } from "socket.io";
import type { TopicsContext } from "../context.ts";
import { Problem, problemOf } from "../problem.ts";
import type { Claims } from "../tokens.ts";
import type { Topic } from "../topic.ts";
import type { Feed } from "./feed.ts";

export interface Subscription {
  readonly topic: Topic;
  readonly feed: Feed;
}

/** Requests of one socket in one window, over all topics. */
const REQUESTS = 10;
const WINDOW_MS = 10_000;

/** Longest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function welcome(
  context: TopicsContext,
  subscriptions: readonly Subscription[],
  socket: Socket,
  claims: Claims,
): void {
  const recent: number[] = [];
  const byRequest = new Map(subscriptions.map((entry) => [entry.topic.events.request, entry]));
  const rooms = subscriptions.filter(({ topic }) => topic.autoJoin && topic.authorize(claims));
  socket.join(rooms.map(({ topic }) => topic.room));
  socket.emit("connected", { ok: true });
  for (const { topic } of subscriptions) {
    socket.on(topic.events.leave, (...args: unknown[]) => {
      socket.leave(topic.room);
      acknowledgement(args)?.({ ok: true });
    });
  }
  socket.onAny((event: string, ...args: unknown[]) => {
    const subscription = byRequest.get(event);
    if (subscription === undefined && !event.startsWith("request:")) return;
    const ack = acknowledgement(args);
    const name = subscription?.topic.name ?? event.slice("request:".length);
    answer(subscription, socket, claims, recent, args).then(
      (body) => ack?.(body),
      (error: unknown) => {
        const { code, message } = problemOf(error, context.log, { event: event.slice(0, 80) });
        // Nobody is told about a topic that is not there but who asked to be told.
        if (subscription !== undefined) socket.emit("error", { topic: name, code, message });
        ack?.({ ok: false, code, message });
      },
    );
  });
  if (context.config.topicsDisconnectOnExpiry) disconnectAt(socket, claims.exp * 1000);
}

async function answer(
  subscription: Subscription | undefined,
  socket: Socket,
  claims: Claims,
  recent: number[],
  args: readonly unknown[],
): Promise<unknown> {
  if (subscription === undefined) throw new Problem(3001, "topic not found");
  takeTurn(recent);
  if (!subscription.topic.authorize(claims)) throw new Problem(1004, "no permission");
  // Without a payload the callback is the first argument (topics contract, section 19).
  return subscription.feed.answer(socket, typeof args[0] === "function" ? undefined : args[0]);
}

/** @throws Problem 2003 above the limit; what was refused does not count. */
function takeTurn(recent: number[]): void {
  const now = performance.now();
  while (recent[0] !== undefined && recent[0] <= now - WINDOW_MS) recent.shift();
  if (recent.length >= REQUESTS) throw new Problem(2003, "too many requests");
  recent.push(now);
}

function acknowledgement(args: readonly unknown[]): ((body: unknown) => void) | undefined {
  const last = args.at(-1);
  return typeof last === "function" ? (body) => last(body) : undefined;
}

/** The transport is closed, so that the client comes back with its new token and its last event. */
function disconnectAt(socket: Socket, expiryMs: number): void {
  let timer: Timer;
  const arm = () => {
    const left = expiryMs - Date.now();
    if (left <= 0) socket.conn.close();
    else timer = setTimeout(arm, Math.min(left, MAX_TIMER_MS)).unref();
  };
  arm();
  socket.once("disconnect", () => clearTimeout(timer));
}
