// The bus's own figures on the metrics page (bus contract, section 16).
import type { Metrics } from "../observability/metrics.ts";
import type { BusCounters } from "./message-bus.ts";

export function busCounters(metrics: Metrics, engine: string): BusCounters {
  const labels = { bus: engine };
  const counter = (name: string, help: string) => {
    const made = metrics.counter(`gohub_bus_${name}_total`, help, true);
    // From the start, so that an alert sees the step from 0 to 1.
    made.add(0, labels);
    return () => made.add(1, labels);
  };
  return {
    publishError: counter("publish_errors", "Messages that the bus did not take"),
    gap: counter("gaps", "Times that messages were lost because the backend's history ended"),
    duplicate: counter("duplicates", "Repeated deliveries that were suppressed"),
    reconnect: counter("reconnects", "Times that a lost bus came back"),
  };
}
