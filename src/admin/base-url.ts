// The address that other devices reach this server at: the public one, else that of this machine in its network.
import type { HouseConfig } from "../protocol/house-settings.ts";
import { localUrl, networkUrls } from "../server/machine-addresses.ts";

export function baseUrl(config: Pick<HouseConfig, "publicUrl" | "host" | "port" | "tlsCert">): string {
  const { publicUrl, host, port, tlsCert } = config;
  const isSecure = tlsCert !== undefined;
  return publicUrl ?? networkUrls(host, port, isSecure)[0] ?? localUrl(host, port, isSecure);
}
