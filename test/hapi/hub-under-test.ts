// A hub as the proofs see it: an address and a token, whoever answers there.
import type { Json } from "./placeholders.ts";

export interface HubUnderTest {
  /** Without a slash at the end. */
  readonly url: string;
  /** The access token, without a namespace. */
  readonly token: string;
  /** The origin of its public URL: the one that a browser may use it from. */
  readonly publicOrigin: string;
  /** Of Web Push, as it is stored. */
  readonly vapidPublicKey: string;
  /** What this hub may tell beside what is recorded: keys with their values. Nothing where it is absent. */
  readonly surplus?: Readonly<Record<string, Json>>;
  /** Its sessions carry the `seq` that is stored: the released hub's copy may lag behind (hapi-http-sse.md, A6). */
  readonly tellsStoredSeq?: boolean;
  stop(): Promise<void>;
}

/** Starts one on a fresh folder and a free port. */
export type StartHub = () => Promise<HubUnderTest>;

/** Logs in as the web app does. @returns the JWT. */
export async function logIn(
  { url, token }: Pick<HubUnderTest, "url" | "token">,
  namespace?: string,
): Promise<string> {
  const accessToken = namespace === undefined ? token : `${token}:${namespace}`;
  const response = await fetch(`${url}/api/auth`, { method: "POST", body: JSON.stringify({ accessToken }) });
  if (!response.ok)
    throw new Error(`The login was answered with ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { token: string }).token;
}
