// Version negotiation (contract 6): the highest version that both sides know, compared as numbers.

export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

const CURRENT_VERSION = "2.0";

const VERSION = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/;

/** Undefined for anything but MAJOR.MINOR. */
export function protocolVersion(text: string): ProtocolVersion | undefined {
  const [, major, minor] = VERSION.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

/** Negative when `a` is the older one. Both are well formed. */
export function compareVersions(a: string, b: string): number {
  const [one, other] = [protocolVersion(a), protocolVersion(b)];
  if (one === undefined || other === undefined) throw new Error(`no version: ${a}, ${b}`);
  return one.major - other.major || one.minor - other.minor;
}

/**
 * What the client offers: its list, or the version that it speaks where it has none; an empty list counts as none, since protobuf cannot
 * tell them apart.
 */
export function offeredVersions(
  spoken: string | undefined,
  list: readonly string[] | undefined,
): readonly string[] {
  return list !== undefined && list.length > 0 ? list : [spoken ?? CURRENT_VERSION];
}

/** The version that is spoken, as the server writes it; undefined when there is none in common. */
export function negotiate(offered: readonly string[], served: readonly string[]): string | undefined {
  // The common case: one version on both sides.
  if (offered.length === 1 && served.length === 1 && offered[0] === served[0]) return served[0];
  let best: string | undefined;
  for (const version of served) {
    if (!offered.some((text) => protocolVersion(text) !== undefined && compareVersions(text, version) === 0))
      continue;
    if (best === undefined || compareVersions(version, best) > 0) best = version;
  }
  return best;
}
