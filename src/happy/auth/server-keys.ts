// The Happy protocol's keys, each derived from the master secret when first needed (data contract 6 and 7).
import { createHmac } from "node:crypto";
import { encodeUrl } from "../wire/base64.ts";
import { serviceKeys, stretch } from "./keys.ts";
import { Tokens } from "./tokens.ts";

export interface ServerKeys {
  readonly bearer: Tokens;
  /** Tokens that prove a GitHub sign-in was started here; valid for minutes. */
  readonly githubState: () => Tokens;
  /** Root of the tree that vendor tokens are sealed under. */
  readonly treeMaster: () => Promise<Uint8Array>;
  /** ElevenLabs user id of an account (HTTP contract 15.2). */
  readonly voiceUser: (account: string) => string;
}

export function serverKeys(masterSecret: string): ServerKeys {
  let state: Tokens | undefined;
  let master: Promise<Uint8Array> | undefined;
  return {
    bearer: new Tokens(serviceKeys(masterSecret, "handy Persistent Token"), "handy"),
    githubState: () => {
      state ??= new Tokens(serviceKeys(masterSecret, "github-happy Ephemeral Token"), "github-happy");
      return state;
    },
    treeMaster: () => {
      master ??= stretch(masterSecret, "happy-server-tokens");
      return master;
    },
    voiceUser: (account) => `u_${encodeUrl(createHmac("sha256", masterSecret).update(account).digest())}`,
  };
}
