// The client of a request as a label. Clients write it as free text such as `ios/1.7.0`; here it is one of a bounded set, so that
// nobody can fill the metrics page or the log with words of their own.

export interface ClientLabel {
  /** `ios/1.7.0`, `ios/other`, `other` or `unknown`. */
  readonly client: string;
  /** The part before the slash. */
  readonly client_type: string;
}

const TYPES = [
  "ios",
  "android",
  "web",
  "desktop",
  "cli",
  "cli-coding-session",
  "cli-daemon",
  "cli-control-plane",
  "happy-agent",
];
/** Of one type; whatever comes later is `<type>/other`. */
const MAX_VERSIONS = 16;
const VERSION = /^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$/;

export const UNKNOWN_CLIENT: ClientLabel = { client: "unknown", client_type: "unknown" };
export const OTHER_CLIENT: ClientLabel = { client: "other", client_type: "other" };

const known = new Map<string, ClientLabel>([["unknown", UNKNOWN_CLIENT]]);
const versions = new Map<string, number>();
for (const type of TYPES) {
  versions.set(type, 0);
  known.set(`${type}/other`, { client: `${type}/other`, client_type: type });
}

/** The same object for the same client. */
export function clientLabel(text: string | null | undefined): ClientLabel {
  if (text === null || text === undefined || text === "") return UNKNOWN_CLIENT;
  return known.get(text) ?? learn(text);
}

function learn(text: string): ClientLabel {
  const [name = "", version = ""] = text.slice(0, 100).split("/");
  const type = name.toLowerCase();
  const count = versions.get(type);
  if (count === undefined) return OTHER_CLIENT;
  // Clients write the type in lower case; another spelling is not worth a place.
  if (count >= MAX_VERSIONS || !VERSION.test(version) || text !== `${type}/${version}`)
    return known.get(`${type}/other`) ?? OTHER_CLIENT;
  const label = { client: text, client_type: type };
  versions.set(type, count + 1);
  known.set(text, label);
  return label;
}
