// Where a server that listens on `host` is reached: from this machine itself, and from others in its networks. The one list of this
// machine's addresses.
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const isEverywhere = (host: string): boolean => host === "0.0.0.0" || host === "::";

function urlOf(host: string, port: number, secure: boolean): string {
  return `${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** IPv4 addresses in the system's order, without loopback: what a person types into a phone. */
export function networkAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  return Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === "IPv4")
    .map(({ address }) => address);
}

/** URLs for other machines; none for a server that listens on one address only, which may be a proxy's. */
export function networkUrls(
  host: string,
  port: number,
  secure: boolean,
  interfaces: Interfaces = networkInterfaces(),
): string[] {
  if (!isEverywhere(host)) return [];
  return networkAddresses(interfaces).map((address) => urlOf(address, port, secure));
}

/** By number, where no name service is needed: what commands on this machine ask. */
export function localUrl(host: string, port: number, secure: boolean): string {
  const address = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return urlOf(address, port, secure);
}

/** By name, as a person on this machine types it. */
export function localhostUrl(host: string, port: number, secure: boolean): string {
  return urlOf(isEverywhere(host) ? "localhost" : host, port, secure);
}
