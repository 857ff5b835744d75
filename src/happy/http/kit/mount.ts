// The path of an invite, `/i/<code>`, in front of everything that a client asks for: clients put whatever they ask for behind the
// server address that they were given, so the whole API answers there too. The code admits new keys and stays a path for everybody.
import { pathOf } from "../../../server/http-routes.ts";

const INVITE = /^\/i\/([A-Za-z0-9_-]{1,100})(?=\/|$)/;

export interface Mounted {
  /** `/i/<code>` as the client used it, else empty. */
  readonly mount: string;
  /** What is asked for below it. */
  readonly path: string;
}

/** Parts of a path whose doubled slashes are already collapsed. */
export function splitMount(path: string): Mounted {
  const mount = path.startsWith("/i/") ? (INVITE.exec(path)?.[0] ?? "") : "";
  return { mount, path: mount === "" ? path : path.slice(mount.length) || "/" };
}

/** Of a request's path as it was sent. */
export const mountedPath = ({ url }: Request): Mounted => splitMount(pathOf(url));

export function inviteCode(mount: string): string | undefined {
  return INVITE.exec(mount)?.[1];
}
