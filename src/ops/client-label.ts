// The client of a request as a label. Clients write it as free text such as `ios/1.7.0`; here it is one of a bounded set, so that
// nobody can fill the metrics page or the log with words of their own. Which types there are, their protocol says.

export interface ClientLabel {
  /** `ios/1.7.0`, `ios/other`, `other` or `unknown`. */
  readonly client: string;
  /** The part before the slash. */
  readonly client_type: string;
}

/** Of one type; whatever comes later is `<type>/other`. */
const MAX_VERSIONS = 16;
const VERSION = /^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$/;

export const UNKNOWN_CLIENT: ClientLabel = { client: "unknown", client_type: "unknown" };
export const OTHER_CLIENT: ClientLabel = { client: "other", client_type: "other" };

export class ClientLabels {
  readonly #known = new Map<string, ClientLabel>([["unknown", UNKNOWN_CLIENT]]);
  /** How many were learned of each type. */
  readonly #versions = new Map<string, number>();

  constructor(types: readonly string[]) {
    for (const type of types) {
      this.#versions.set(type, 0);
      this.#known.set(`${type}/other`, { client: `${type}/other`, client_type: type });
    }
  }

  /** The same object for the same client. */
  of(text: string | null | undefined): ClientLabel {
    if (text === null || text === undefined || text === "") return UNKNOWN_CLIENT;
    return this.#known.get(text) ?? this.#learn(text);
  }

  #learn(text: string): ClientLabel {
    const [name = "", version = ""] = text.slice(0, 100).split("/");
    const type = name.toLowerCase();
    const count = this.#versions.get(type);
    if (count === undefined) return OTHER_CLIENT;
    // Clients write the type in lower case; another spelling is not worth a place.
    if (count >= MAX_VERSIONS || !VERSION.test(version) || text !== `${type}/${version}`)
      return this.#known.get(`${type}/other`) ?? OTHER_CLIENT;
    const label = { client: text, client_type: type };
    this.#versions.set(type, count + 1);
    this.#known.set(text, label);
    return label;
  }
}
