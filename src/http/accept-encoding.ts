// Whether a client takes gzip (RFC 9110, 12.5.3): an entry of its own counts before `*`, a weight of 0 refuses.

export function acceptsGzip(accepted: string | null): boolean {
  if (accepted === null) return false;
  let any = 0;
  for (const entry of accepted.toLowerCase().split(",")) {
    const [name = "", ...parameters] = entry.split(";").map((part) => part.trim());
    if (name === "gzip" || name === "x-gzip") return weightOf(parameters) > 0;
    if (name === "*") any = weightOf(parameters);
  }
  return any > 0;
}

/** One that cannot be read counts as none given. */
function weightOf(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith("q="));
  const weight = given === undefined ? 1 : Number(given.slice(2));
  return Number.isFinite(weight) ? weight : 1;
}
