// Who is really asking: forwarded headers are believed only from trusted proxies, walking back hop by hop.
import { BlockList, isIP } from "node:net";

export type AddressRange = BlockList;

/** @throws Error naming the entry that is neither an address nor a range such as `10.0.0.0/8`. */
export function parseRanges(entries: readonly string[]): AddressRange[] {
  return entries.map((entry) => {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address);
    const size = bits === undefined ? (family === 6 ? 128 : 32) : Number(bits);
    if (family === 0 || !Number.isInteger(size) || size < 0 || size > (family === 6 ? 128 : 32)) {
      throw new Error(`"${entry}" is not an address or a range such as 10.0.0.0/8`);
    }
    const list = new BlockList();
    list.addSubnet(address, size, family === 6 ? "ipv6" : "ipv4");
    return list;
  });
}

export function isTrusted(address: string, trusted: readonly AddressRange[]): boolean {
  const plain = unmapped(address);
  const family = isIP(plain);
  return family !== 0 && trusted.some((range) => range.check(plain, family === 6 ? "ipv6" : "ipv4"));
}

/** The nearest address that is not a trusted proxy. */
export function clientAddress(peer: string, headers: Headers, trusted: readonly AddressRange[]): string {
  let current = unmapped(peer);
  const forwarded = headers.get("x-forwarded-for");
  if (forwarded === null) return current;
  const hops = forwarded.split(",").map((hop) => unmapped(hop.trim()));
  while (isTrusted(current, trusted)) {
    const previous = hops.pop();
    if (previous === undefined || isIP(previous) === 0) break;
    current = previous;
  }
  return current;
}

/** `::ffff:1.2.3.4` is 1.2.3.4. */
export function unmapped(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
