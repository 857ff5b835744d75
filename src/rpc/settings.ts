// Settings of the RPC room alone. How it behaves is said by its document (contract 16), which may also stand under `rpc.document` in
// roost.yaml.
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, structure, text } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";

export const rpcSettings = {
  rpcEnabled: setting(flag().default(false), "serve calls of the RPC protocol v2 over HTTP"),
  rpcConfig: setting(
    text().optional(),
    "file that says how calls are served; rpc.yaml in the data folder when it exists",
  ),
  rpcDocument: setting(
    structure(z.record(z.string(), z.unknown(), "it must consist of keys and values").optional()),
    "how calls are served, in place of such a file: in roost.yaml the map under rpc.document",
    { secret: true, live: true },
  ),
  rpcFixtures: setting(
    flag().default(false),
    "serve the methods that tests of clients call; not for production",
  ),
} as const satisfies Record<string, Setting>;

export type RpcConfig = HouseConfig & Values<typeof rpcSettings>;
