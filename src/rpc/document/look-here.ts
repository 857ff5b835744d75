// The document as this machine alone says it, looked at once, for somebody who asks before a server starts or beside one.
import { createLog } from "../../observability/log.ts";
import { Metrics } from "../../observability/metrics.ts";
import type { RpcConfig } from "../settings.ts";
import type { RpcDocument } from "./document.ts";
import { configured } from "./open-document.ts";

export interface LookedAt {
  readonly document: RpcDocument;
  /** Sentences that a start would log as warnings. */
  readonly warnings: readonly string[];
}

/** @throws Error with the sentence that a start would end with */
export async function lookHere(
  config: RpcConfig,
  variables?: Readonly<Record<string, string | undefined>>,
): Promise<LookedAt> {
  const warnings: string[] = [];
  const log = createLog("warn", { write: (line) => warnings.push(String(JSON.parse(line).msg)) });
  const house = { config, log, metrics: new Metrics(), cluster: undefined, isHereOnly: true };
  const source = await configured(house, { hasModules: false }, variables);
  await source.close();
  return { document: source.current(), warnings };
}
