// A place without an account where `roost doctor` may hold one silent connection, exactly as an app holds its own: same path, same
// pings. Few fit in, nothing they say is heard, and each has to leave after a while.
import type { Server } from "socket.io";

const MAX_SOCKETS = 8;
const STAY_MS = 150_000;

export function openDoctorNamespace(io: Server): void {
  const namespace = io.of("/doctor");
  namespace.use((_socket, next) =>
    next(namespace.sockets.size < MAX_SOCKETS ? undefined : new Error("Busy")),
  );
  namespace.on("connection", (socket) => {
    const timer = setTimeout(() => socket.conn.close(), STAY_MS);
    socket.on("disconnect", () => clearTimeout(timer));
  });
}
