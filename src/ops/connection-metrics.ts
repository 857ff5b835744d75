// Connections and file descriptors of the process, read when somebody asks.

import type { Metrics } from "../observability/metrics.ts";
import { descriptorLimit, openDescriptors } from "../server/descriptors.ts";
import type { FrontDoor } from "../server/front-door.ts";

/** Figures that this system does not tell have no line. */
export function reportConnections(
  metrics: Metrics,
  door: Pick<FrontDoor, "connections" | "tlsFigures">,
): void {
  metrics
    .gauge("roost_connections", "TCP connections of clients, by whether an account's request came over them")
    .reportEach(() => {
      const figures = door.connections();
      if (figures === undefined) return [];
      return [
        [ACCOUNTS, figures.accounts],
        [STRANGERS, figures.strangers],
      ] as const;
    });
  metrics
    .gauge("roost_tls_connections", "Connections at listeners with TLS terms of their own")
    .reportEach(() => {
      const figures = door.tlsFigures();
      if (figures === undefined) return [];
      const { connections, handshakes } = figures;
      return [
        [OPEN, connections - handshakes],
        [HANDSHAKES, handshakes],
      ] as const;
    });
  metrics
    .gauge("process_open_fds", "File descriptors that are open")
    .reportEach(() => one(openDescriptors()));
  metrics
    .gauge("process_max_fds", "File descriptors that may be open")
    .reportEach(() => one(descriptorLimit()));
}

const ACCOUNTS = { of: "accounts" };
const STRANGERS = { of: "strangers" };
const OPEN = { of: "open" };
const HANDSHAKES = { of: "handshakes" };

const one = (value: number | undefined) => (value === undefined ? [] : [[undefined, value] as const]);
