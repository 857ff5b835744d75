// Which network an address belongs to, and whether it can be a proxy's, a gateway's or a container's: for limits that are counted
// by address.
import { BlockList, isIP, isIPv6 } from "node:net";

/** The key under which an address is counted. One IPv6 customer has at least a whole /64 to call from. */
export function networkOf(address: string): string {
  // The first look is far cheaper, and this is asked at every request.
  if (!address.includes(":") || !isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  // A dotted end stands for two groups.
  const length = groups.length + after.length + (address.includes(".") ? 1 : 0);
  const all = [...groups, ...Array.from({ length: Math.max(0, 8 - length) }, () => "0"), ...after];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}

const PRIVATE = new BlockList();
for (const [address, bits] of [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const)
  PRIVATE.addSubnet(address, bits, "ipv4");
PRIVATE.addSubnet("fc00::", 7, "ipv6");
PRIVATE.addSubnet("fe80::", 10, "ipv6");
PRIVATE.addAddress("::1", "ipv6");

/** Loopback, private, link-local and carrier-grade addresses: many people may stand behind one of them. */
export function isPrivate(address: string): boolean {
  const plain = address.split("%")[0] ?? "";
  const family = isIP(plain);
  return family !== 0 && PRIVATE.check(plain, family === 6 ? "ipv6" : "ipv4");
}
