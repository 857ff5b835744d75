// Patterns of method and principal names: `*` is any text, also an empty one; everything else is itself.

const known = new Map<string, RegExp>();
/** Patterns come from the document, of which there is one at a time. */
const MAX_KNOWN = 10_000;

export function matches(pattern: string, text: string): boolean {
  let expression = known.get(pattern);
  if (expression === undefined) {
    const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
    expression = new RegExp(`^${parts.join("[^]*?")}$`);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(pattern, expression);
  }
  return expression.test(text);
}
