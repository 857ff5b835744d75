// Patterns of method, principal, resource and action names: `*` is any text, also an empty one; everything else is itself. The time grows
// with pattern times text at most, however many stars there are: names may come from whoever calls.

export function matches(pattern: string, text: string): boolean {
  let at = 0;
  let seen = 0;
  /** Behind the last star, and what it has taken so far. */
  let behindStar = -1;
  let taken = 0;
  while (seen < text.length) {
    if (pattern[at] === "*") {
      behindStar = ++at;
      taken = seen;
    } else if (at < pattern.length && pattern[at] === text[seen]) {
      at++;
      seen++;
    } else if (behindStar >= 0) {
      at = behindStar;
      seen = ++taken;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
