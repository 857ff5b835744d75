// A place without an account where `roost doctor` may hold one silent connection, exactly as an app holds its own: same path, same
// pings. Few fit in, nothing they say is heard, and each has to leave after a while.
import type { Namespace } from "socket.io";

const MAX_SOCKETS = 8;
const STAY_MS = 150_000;

export function openDoctorNamespace(namespace: Namespace): void {
  /** Connections in it and on their way in: those that come at the same time must not all find it free. */
  const connections = new Set<object>();
  namespace
    .use(({ conn }, next) => {
      if (connections.size >= MAX_SOCKETS || connections.has(conn)) return next(new Error("Busy"));
      connections.add(conn);
      conn.once("close", () => connections.delete(conn));
      next();
    })
    .on("connection", (socket) => {
      const timer = setTimeout(() => socket.conn.close(), STAY_MS);
      socket.on("disconnect", () => {
        clearTimeout(timer);
        connections.delete(socket.conn);
      });
    });
}
