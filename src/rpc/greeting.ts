// What somebody reads after the start whose programs call methods: the address, and where it says who may.
import { join } from "node:path";
import type { GreetingFacts } from "../protocol/manifest.ts";
import { lookHere } from "./document/look-here.ts";
import { DEFAULT_FILE } from "./document/open-document.ts";
import type { RpcConfig } from "./settings.ts";

export async function greeting({ config, local, network }: GreetingFacts<RpcConfig>): Promise<string[]> {
  const looked = await lookHere(config).catch(() => undefined);
  // What a network says may have moved the paths, and somebody may have changed the file since the start: better nothing than a wrong line.
  if (looked === undefined || looked.document.config.etcd || looked.document.config.nacos) return [];
  const { security, rpc } = looked.document;
  const at = `${config.publicUrl ?? network[0] ?? local}${rpc.base_path}/v2`;
  return [
    "",
    "  Programs call methods of RPC v2 with",
    `      POST ${at}/rpc   (GET ${at}/methods lists them; docs/rpc.md)`,
    ...(security.require_auth
      ? []
      : [
          `  They need no proof who they are. Who may call is said in ${config.rpcConfig ?? join(config.dataDir, DEFAULT_FILE)}.`,
        ]),
  ];
}
