// A topic is an address on the bus: a word, or a word, a slash and one id. Here is where a key-value backend keeps it: the id is
// percent-encoded in its key, so that no character of it leaves its place (bus contract 10.1).
import { TopicEmptyError } from "./errors.ts";

/** The only ones that mean "everything below". `unicast/*` does not: it is the address of a client whose id is a star. */
const WILDCARDS: ReadonlySet<string> = new Set(["room/*", "topic/*"]);

/** `room/` of `room/*`; undefined for an exact topic. */
export function wildcardPrefix(topic: string): string | undefined {
  return WILDCARDS.has(topic) ? topic.slice(0, -1) : undefined;
}

/** @throws TopicEmptyError */
export function requireTopic(topic: string): void {
  if (topic === "") throw new TopicEmptyError();
}

/** Everything after the first slash is one id: `unicast/a/b` is the client `a/b`. */
export function keyOfTopic(prefix: string, topic: string): string {
  const slash = topic.indexOf("/");
  if (slash < 0) return `${prefix}/${encodeId(topic)}`;
  return `${prefix}/${encodeId(topic.slice(0, slash))}/${encodeId(topic.slice(slash + 1))}`;
}

/** The topic of a key under the prefix. Keys written by hand may lack the encoding. */
export function topicOfKey(prefix: string, key: string): string {
  const path = key.slice(prefix.length + 1);
  const slash = path.indexOf("/");
  if (slash < 0) return decodeId(path);
  return `${decodeId(path.slice(0, slash))}/${decodeId(path.slice(slash + 1))}`;
}

/** RFC 3986: only unreserved characters stay. */
function encodeId(id: string): string {
  return encodeURIComponent(id.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
