// Requests to addresses that clients gave must not reach what only this machine can reach: loopback, private networks, the metadata
// services of clouds. The name is looked up once, every address of it is checked, and the connection goes to what was checked.
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";

/** RFC 6890 and what came after it, with the addresses under which clouds answer their own machines. */
const INSIDE_V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
  // Azure's own.
  ["168.63.129.16", 32],
];
/** Of IPv6 only what is handed out to the public is outside, without tunnels to IPv4 and documentation; beside it NAT64. */
const INSIDE_V6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];
const NAT64 = "64:ff9b::";

const inside = new BlockList();
const outsideV6 = new BlockList();
outsideV6.addSubnet("2000::", 3, "ipv6");
outsideV6.addSubnet(NAT64, 96, "ipv6");
for (const [address, bits] of INSIDE_V4) {
  inside.addSubnet(address, bits, "ipv4");
  inside.addSubnet(`${NAT64}${address}`, 96 + bits, "ipv6");
}
for (const [address, bits] of INSIDE_V6) inside.addSubnet(address, bits, "ipv6");

/** Whether an IP address is one that everybody can reach, and not this machine's own. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || address.includes("%")) return false;
  if (family === 6 && !outsideV6.check(address, "ipv6")) return false;
  return !inside.check(address, family === 6 ? "ipv6" : "ipv4") && !isOwn(address);
}

const isOwn = (address: string): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === address));

export class NotPublic extends Error {
  constructor() {
    super("The address is not a public one");
  }
}

/** The host of a URL without the brackets of an IPv6 address. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, "$1");

/**
 * For `request` of node:http and node:https; a name of which one address is not public is refused with NotPublic. A literal address in
 * the URL is never looked up: ask isPublicAddress before.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    const isGood = addresses.length > 0 && addresses.every(({ address }) => isPublicAddress(address));
    if (!isGood) return callback(new NotPublic(), []);
    const [first] = addresses;
    if (options.all === true) callback(null, addresses);
    else callback(null, first?.address ?? "", first?.family);
  });
};
