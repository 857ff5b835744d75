// Which addresses instances may have (contract 27.4): those of the document, and never link local, multicast or unspecified ones. A name is
// looked up again at every connect, all of its addresses are checked, and the connection goes to what was checked.
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { isTrusted, parseRanges, unmapped } from "../../server/client-address.ts";
import { within } from "../../within.ts";

const never = new BlockList();
for (const [address, bits] of [
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 3],
] as const)
  never.addSubnet(address, bits, "ipv4");
for (const [address, bits] of [
  ["::", 128],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  never.addSubnet(address, bits, "ipv6");

const LOOKUP_MS = 5_000;

export class NotAllowed extends Error {}

export function isAllowedAddress(address: string, allowed: readonly string[]): boolean {
  const plain = unmapped(address.toLowerCase());
  const family = isIP(plain);
  if (family === 0 || never.check(plain, family === 6 ? "ipv6" : "ipv4")) return false;
  // One that is written as IPv6 otherwise is not looked through: nobody needs it.
  return !isHiddenV4(plain) && isTrusted(plain, parseRanges(allowed));
}

/** IPv4 inside IPv6 in another way than `::ffff:1.2.3.4`. */
const isHiddenV4 = (address: string): boolean =>
  isIP(address) === 6 && /^(::ffff:|64:ff9b:|::\d+\.)/i.test(address);

/** For `request` of node:http and node:https. A literal address is never looked up: ask isAllowedAddress before. */
export function allowedLookup(allowed: readonly string[]): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const isGood =
        addresses.length > 0 && addresses.every(({ address }) => isAllowedAddress(address, allowed));
      if (!isGood) return callback(new NotAllowed("an address of it is not allowed"), []);
      const [first] = addresses;
      if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? "", first?.family);
    });
  };
}

/** Undefined for a host that may be reached; otherwise why not. */
export async function hostProblem(host: string, allowed: readonly string[]): Promise<string | undefined> {
  if (isIP(host) !== 0) return isAllowedAddress(host, allowed) ? undefined : "is no address that is allowed";
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host)) return "is no host";
  const looking = new Promise<void>((resolve, reject) => {
    allowedLookup(allowed)(host, { all: true }, (error) => (error === null ? resolve() : reject(error)));
  });
  try {
    await within(LOOKUP_MS, looking, () => new Error("late"));
    return undefined;
  } catch (error) {
    return error instanceof NotAllowed ? "is no address that is allowed" : "is not found";
  }
}
