// What the process itself costs: memory, processor time, and how long the event loop keeps others waiting.
import { build } from "../build-info.ts";
import type { Metrics } from "../observability/metrics.ts";

/** How often the event loop is asked; how late it answers is the delay. */
const EVERY_MS = 500;

/** @returns how to end the measuring. */
export function reportProcess(metrics: Metrics): () => void {
  const startedAt = Date.now() / 1_000 - process.uptime();
  const ends = [
    metrics
      .gauge("process_resident_memory_bytes", "Memory of the process")
      .report(() => process.memoryUsage.rss()),
    metrics
      .gauge("process_heap_bytes", "Memory that JavaScript objects take")
      .report(() => process.memoryUsage().heapUsed),
    metrics.total("process_cpu_seconds_total", "Processor time of the process").report(() => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    metrics
      .gauge("process_start_time_seconds", "When the process started, Unix time")
      .report(() => startedAt),
    metrics
      .gauge("roost_build_info", "The version that runs; always 1")
      .report(() => 1, { version: build.version, commit: build.commit, bun: Bun.version }),
  ];
  const delay = metrics.histogram(
    "roost_event_loop_delay_seconds",
    "How late the event loop was, asked twice a second",
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  );
  let expectedAt = performance.now() + EVERY_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    delay.observe(Math.max(0, now - expectedAt) / 1_000);
    expectedAt = now + EVERY_MS;
  }, EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const end of ends) end();
  };
}
