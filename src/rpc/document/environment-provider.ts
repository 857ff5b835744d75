// The environment as a provider: `ADUIB_QOS__MAX_TIMEOUT_MS=1000` is the key `qos.max_timeout_ms`. It is read once, since a process's own
// environment does not change.
import { nearest } from "../../config/usage.ts";
import type { Provider } from "./provider.ts";
import { allPlaces, nodeAt } from "./schema-node.ts";
import { writtenValue } from "./written-value.ts";

const PREFIX = "ADUIB_";
/** They decide about debug information (contract 5.5). */
const RESERVED = new Set(["ADUIB_ENV", "ADUIB_RPC_DEBUG"]);
/** What Kubernetes sets in every container beside a service whose name begins so. */
const SERVICE_LINK =
  /^ADUIB_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$/;

export class EnvironmentProvider implements Provider {
  readonly name = "the environment";

  constructor(private readonly variables: Readonly<Record<string, string | undefined>> = process.env) {}

  async load(): Promise<unknown> {
    const fields: Record<string, unknown> = {};
    for (const [name, text] of Object.entries(this.variables)) {
      // An empty variable counts as unset.
      if (!name.startsWith(PREFIX) || text === undefined || text === "" || RESERVED.has(name)) continue;
      if (SERVICE_LINK.test(name) || (name.endsWith("PORT") && /^(tcp|udp):\/\//.test(text))) continue;
      const path = name.slice(PREFIX.length).toLowerCase().split("__");
      const node = nodeAt(path);
      if (node === undefined || nodeAt(path.slice(0, -1))?.kind === "map")
        throw new Error(unknown(name, path));
      put(fields, path, writtenValue(text, node));
    }
    return fields;
  }

  watch(): void {}
  close(): void {}
}

function unknown(name: string, path: readonly string[]): string {
  const places = allPlaces();
  const place = nearest(path.join("."), places);
  return `${name} is no key of the document. Did you mean ${PREFIX}${place.replaceAll(".", "__").toUpperCase()}?`;
}

/** A whole section as JSON and keys of it may stand beside each other; the keys count more. */
function put(fields: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  const under = fields[key];
  if (rest.length === 0) {
    fields[key] = isMap(under) && isMap(value) ? { ...value, ...under } : value;
    return;
  }
  const inside: Record<string, unknown> = isMap(under) ? { ...under } : {};
  put(inside, rest, value);
  fields[key] = inside;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
