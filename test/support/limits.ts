// The limits of a server for a part that a test starts without one, with the defaults of every bound.

import { type Limits, openLimits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { protocols } from "../../src/protocols.ts";
import type { Config } from "./config.ts";
import { parseConfig } from "./config.ts";

export const testLimits = (overrides: Partial<Config> = {}): Limits =>
  openLimits({
    config: { ...parseConfig({}), ...overrides },
    bounds: Object.assign({}, ...protocols.map(({ bounds }) => bounds)),
    metrics: new Metrics(),
    log: createLog("silent"),
  });
