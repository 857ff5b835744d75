// The doctor's look at the document that says how calls are served: whether a start would take it, and what it would warn of. No value of it
// is in a sentence: it may be a secret.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Finding, failure, ok, problemOf, warning } from "../doctor/finding.ts";
import { lookHere } from "./document/look-here.ts";
import { DEFAULT_FILE } from "./document/open-document.ts";
import type { RpcConfig } from "./settings.ts";

const CHECK = "rpc-document";

export async function* findings(config: RpcConfig): AsyncGenerator<Finding> {
  try {
    const { document, warnings } = await lookHere(config);
    for (const sentence of warnings) yield warning(CHECK, sentence);
    if (warnings.length > 0) return;
    const { etcd, nacos } = document.config;
    const elsewhere =
      etcd === undefined && nacos === undefined ? "" : " What else a network says is not looked at.";
    yield ok(CHECK, `Calls are served as ${placeOf(config)}.${elsewhere}`);
  } catch (error) {
    yield failure(CHECK, `${problemOf(error)}.`, {
      fix: "Mend it there. A server that runs goes on with what it was told before; one that starts does not.",
    });
  }
}

/** Finished tasks go by their age. What is wrong with a document is said by its own finding. */
export async function shortestAgeMs(config: RpcConfig): Promise<number> {
  try {
    return (await lookHere(config)).document.tasks.ttl_s * 1_000;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function placeOf({ rpcDocument, rpcConfig, dataDir }: RpcConfig): string {
  if (rpcDocument !== undefined) return "rpc.document of roost.yaml says";
  const path = resolve(rpcConfig ?? join(dataDir, DEFAULT_FILE));
  return existsSync(path) ? `${path} says` : `the defaults say: there is no ${path}`;
}
