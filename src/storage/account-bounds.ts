// What one account may keep, so that none fills the disk for the others. Asked before something of an account grows; deleting never
// asks. How much an account keeps is in the database; the answer is remembered as room that is left, so that it is read now and then.
import { StorageError } from "./errors.ts";

/** 0 is no limit. */
export interface AccountLimits {
  readonly bytes: number;
  /** Of what an account may have only so many, by name. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Something that an account may have only so many of. */
export interface CountBound {
  /** Names the limit. */
  readonly name: string;
  /** As figures and the log call its refusals. */
  readonly bound: string;
  /** For the person at the client. */
  sentence(limit: number): string;
}

export interface AccountBoundsParts {
  /** Asked each time: limits may change while the server runs. */
  readonly limits: () => AccountLimits;
  readonly refused: (name: string, facts: Readonly<Record<string, string | number>>) => void;
}

/** What the account keeps is its limit. Code "quota", with a sentence for the person at the client. */
export class AccountFull extends StorageError {
  constructor(
    readonly account: string,
    message: string,
  ) {
    super("quota", message);
  }
}

/** Whose growth it is: id and key in the database. */
export interface Owner {
  readonly account: string;
  readonly pk: number;
}

/** Room is read again at least after so much growth, because some growth is not asked about. */
const MAX_ROOM = 16 * 1024 * 1024;
const MAX_ACCOUNTS = 10_000;

const NONE: AccountBoundsParts = {
  limits: () => ({ bytes: 0, counts: {} }),
  refused: () => {},
};

export class AccountBounds {
  readonly #room = new Map<number, { limit: number; left: number }>();

  constructor(private readonly parts: AccountBoundsParts = NONE) {}

  /** `kept` reads what the account keeps now. @throws AccountFull */
  admitBytes({ account, pk }: Owner, bytes: number, kept: () => number): void {
    const limit = this.parts.limits().bytes;
    if (limit === 0 || bytes <= 0) return;
    const room = this.#room.get(pk);
    if (room !== undefined && room.limit === limit && room.left >= bytes) {
      room.left -= bytes;
      return;
    }
    const left = limit - kept() - bytes;
    this.#room.delete(pk);
    if (left < 0) {
      this.parts.refused("account-bytes", { account, limit });
      throw new AccountFull(
        account,
        `Your account keeps as much on this server as it may (${inWords(limit)}): nothing was stored. Delete old sessions, or ask its operator for more.`,
      );
    }
    this.#room.set(pk, { limit, left: Math.min(left, MAX_ROOM) });
    for (const oldest of this.#room.keys()) {
      if (this.#room.size <= MAX_ACCOUNTS) break;
      this.#room.delete(oldest);
    }
  }

  /** One more of something; `kept` reads how many there are now. @throws AccountFull */
  admitOneMore({ account }: Owner, { name, bound, sentence }: CountBound, kept: () => number): void {
    const limit = this.parts.limits().counts[name] ?? 0;
    if (limit === 0 || kept() < limit) return;
    this.parts.refused(bound, { account, limit });
    throw new AccountFull(account, sentence(limit));
  }
}

function inWords(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
