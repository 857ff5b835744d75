// What the person who runs the server can do about accounts, keys, tokens and invites. The same in a running server and on its
// database alone; a running server's memory and sockets follow each change in the announcement of its commit.

import type { Logger } from "pino";
import type { BlobStore } from "../../storage/blobs.ts";
import type { TokenClaims } from "../auth/tokens.ts";
import type { ConnectionFacts } from "../realtime/connection.ts";
import { publicFolder } from "../store/account-deletion.ts";
import type { AccountRow } from "../store/account-overview.ts";
import type { HappyStore } from "../store/index.ts";
import type { Invite } from "../store/invites.ts";
import type { SeenToken } from "../store/token-uses.ts";
import type { WaitingKey } from "../store/waiting-keys.ts";
import { fingerprintOf, readFingerprint } from "./fingerprint.ts";
import type { Revocations } from "./revocations.ts";
import type { TokenUsage } from "./token-usage.ts";

export interface AdministrationParts {
  readonly store: HappyStore;
  readonly blobs: BlobStore;
  readonly revocations: Revocations;
  readonly tokenUsage: TokenUsage;
  readonly sockets: {
    facts(): Iterable<ConnectionFacts>;
    shutOut(isShutOut: (claims: TokenClaims) => boolean): void;
  };
  readonly log: Logger;
}

export interface AccountOverview extends Omit<AccountRow, "publicKey"> {
  readonly fingerprint: string;
  /** Bytes of everything that it keeps, database and blobs. */
  readonly bytes: number;
  /** Sockets that are open now. */
  readonly connections: number;
}

export class Administration {
  constructor(private readonly parts: AdministrationParts) {}

  async list(): Promise<{ accounts: AccountOverview[]; waiting: WaitingKey[] }> {
    const { store } = this.parts;
    await this.#noteConnected();
    const accounts: AccountOverview[] = [];
    for (const { publicKey, ...row } of await store.listAccountRows())
      accounts.push({
        ...row,
        fingerprint: fingerprintOf(publicKey),
        bytes: await this.#bytesOf(row.id),
        connections: this.#connections(row.id),
      });
    return { accounts, waiting: await store.listWaiting() };
  }

  /** The account's id, for an id or the fingerprint of its key. */
  async find(name: string): Promise<string | undefined> {
    const fingerprint = readFingerprint(name);
    return (await this.parts.store.listAccountKeys()).find(
      ({ id, publicKey }) =>
        id === name || (fingerprint !== undefined && fingerprintOf(publicKey) === fingerprint),
    )?.id;
  }

  /** The new account's id; undefined when no such key waits. */
  async approve(fingerprint: string): Promise<string | undefined> {
    const plain = readFingerprint(fingerprint);
    return plain === undefined ? undefined : this.parts.store.approveKey(plain);
  }

  /** False when no such key waits. */
  async refuse(fingerprint: string): Promise<boolean> {
    const plain = readFingerprint(fingerprint);
    return plain !== undefined && (await this.parts.store.refuseKey(plain));
  }

  /** Its tokens are refused and its sockets closed until it is enabled. */
  disable(account: string): Promise<boolean> {
    const { store, revocations, sockets } = this.parts;
    return store.setDisabled(account, true, () => {
      revocations.disable(account);
      sockets.shutOut((claims) => claims.account === account);
    });
  }

  enable(account: string): Promise<boolean> {
    return this.parts.store.setDisabled(account, false, () => this.parts.revocations.enable(account));
  }

  /** Deletes the account with everything that it owns. False when there is none. */
  async remove(account: string): Promise<boolean> {
    const { store, revocations, sockets, blobs, log } = this.parts;
    const deleted = await store.deleteAccount(account, () => {
      revocations.remove(account);
      sockets.shutOut((claims) => claims.account === account);
    });
    for (const folder of deleted?.blobFolders ?? []) {
      try {
        await blobs.removeFolder(folder);
      } catch (error) {
        log.warn(
          { err: error, folder },
          "files of a deleted account could not be removed; nobody can reach them",
        );
      }
    }
    return deleted !== undefined;
  }

  async tokens(account?: string): Promise<SeenToken[]> {
    await this.#noteConnected();
    return (await this.parts.store.listSeenTokens(account)).filter(
      (token) => !this.parts.revocations.refuses({ ...token, id: token.tokenId }),
    );
  }

  revokeToken(account: string, tokenId: string): Promise<boolean> {
    const { store, revocations, sockets } = this.parts;
    return store.revokeToken(account, tokenId, () => {
      revocations.revokeToken(tokenId);
      sockets.shutOut(({ id }) => id === tokenId);
    });
  }

  /** Whoever holds the account's key signs in again; everything else must be paired again. */
  async revokeAllTokens(account: string): Promise<boolean> {
    const { store, revocations, sockets } = this.parts;
    const revoked = await store.revokeAllTokens(account, (cut) => {
      revocations.revokeBefore(account, cut);
      sockets.shutOut((claims) => revocations.refuses(claims));
    });
    return revoked !== undefined;
  }

  invite(uses: number, forMs: number): Promise<Invite> {
    return this.parts.store.createInvite(uses, forMs);
  }

  async #bytesOf(account: string): Promise<number> {
    const { store, blobs } = this.parts;
    let bytes = (await store.ownBytes(account)) + (await blobs.folderBytes(publicFolder(account)));
    for (const session of await store.sessionIdsOf(account))
      bytes += (await store.sessionBytes(session)) + (await blobs.folderBytes(`sessions/${session}`));
    return bytes;
  }

  #connections(account: string): number {
    let open = 0;
    for (const facts of this.parts.sockets.facts()) if (facts.account === account) open++;
    return open;
  }

  async #noteConnected(): Promise<void> {
    for (const { claims, client } of this.parts.sockets.facts()) this.parts.tokenUsage.note(claims, client);
    await this.parts.tokenUsage.store();
  }
}
