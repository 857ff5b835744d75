// `rpc-register`, `rpc-unregister`: which socket answers a method. There is no answer to either; one that may not be registered is not.
import { z } from "zod";
import { socketTarget } from "../../../relay/target.ts";
import { type CliConnection, type CliEvent, cliEvent } from "../connection.ts";
import { id } from "./shapes.ts";

const named = z.object({ method: id });

export const rpcRegister: CliEvent = cliEvent("rpc-register", {
  schema: named,
  handle: (connection, { method }) => {
    const { rpc, socket } = connection;
    own(connection, method, (id) => {
      if (!rpc.register(id, method, socketTarget(socket, "rpc-request"))) refused(connection, method);
    });
  },
});

export const rpcUnregister: CliEvent = cliEvent("rpc-unregister", {
  schema: named,
  handle: (connection, { method }) => {
    own(connection, method, (id) => connection.rpc.unregister(id, method, connection.socket.id));
  },
});

function own(connection: CliConnection, method: string, work: (id: string) => void): void {
  const { ids, socket } = connection;
  // Gone while its id was looked up: nobody would take it away again.
  const isTaken = ids.with(method, (id) => {
    if (socket.connected) work(id);
  });
  if (!isTaken) refused(connection, method);
}

function refused({ log, from }: CliConnection, method: string): void {
  log.debug({ namespace: from.namespace, characters: method.length }, "a method was not registered");
}
