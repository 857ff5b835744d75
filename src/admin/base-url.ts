// The address that other devices reach this server at: the public one, else that of this machine in its network.
import { networkInterfaces } from "node:os";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { localUrl } from "../server/own-address.ts";

export function baseUrl(config: Pick<HouseConfig, "publicUrl" | "host" | "port" | "tlsCert">): string {
  const { publicUrl, host, port, tlsCert } = config;
  if (publicUrl !== undefined) return publicUrl;
  const everywhere = host === "0.0.0.0" || host === "::";
  const inNetwork = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4");
  return localUrl(everywhere ? (inNetwork?.address ?? host) : host, port, tlsCert !== undefined);
}
