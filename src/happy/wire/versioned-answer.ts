// What a socket is told of its compare-and-swap of one encrypted part (realtime contract 6.3, 6.4, 6.8, 6.9), pure.

type Part = "metadata" | "agentState" | "daemonState";

export interface PartChange {
  readonly value: string | null;
  readonly expectedVersion: number;
}

/** The row as it is, where somebody else was faster. */
type Current<P extends Part> = { readonly [K in P]: string | null } & {
  readonly [K in `${P}Version`]: number;
};

export function versionedAnswer<P extends Part>(
  part: P,
  { value, expectedVersion }: PartChange,
  current: Current<P> | undefined,
): Readonly<Record<string, unknown>> {
  if (current === undefined) return { result: "success", version: expectedVersion + 1, [part]: value };
  return { result: "version-mismatch", version: current[`${part}Version`], [part]: current[part] };
}
