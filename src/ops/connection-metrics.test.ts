// The figures of TLS doors stand on the page where there is such a door, and handshakes are not counted as open.
import { expect, test } from "bun:test";
import { Metrics } from "../observability/metrics.ts";
import { reportConnections } from "./connection-metrics.ts";

test.each([
  [undefined, []],
  [
    { connections: 5, handshakes: 2, blocked: 1 },
    ['roost_tls_connections{of="open"} 3', 'roost_tls_connections{of="handshakes"} 2'],
  ],
])("of %p", (figures, lines) => {
  const metrics = new Metrics();
  reportConnections(metrics, { connections: () => undefined, tlsFigures: () => figures });
  const shown = metrics.render().split("\n");
  expect(shown.filter((line) => line.startsWith("roost_tls_connections"))).toEqual(lines);
});
