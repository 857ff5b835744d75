// Settings of the pages for who watches the server.
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, port, text } from "../config/values.ts";

export const opsSettings = {
  metricsToken: setting(
    text().optional(),
    "token that opens the figures for Prometheus at /metrics; without it that page does not exist on the main port",
    { secret: true },
  ),
  metricsPort: setting(
    port().optional(),
    "second port for /metrics, /ready and /health (9090 when metrics are switched on without a port)",
    { legacy: ["METRICS_PORT"] },
  ),
  metricsEnabled: setting(
    flag().optional(),
    "true opens the second port for metrics, false closes every page with metrics",
    { legacy: ["METRICS_ENABLED"] },
  ),
} as const satisfies Record<string, Setting>;

export type OpsConfig = Values<typeof opsSettings>;
