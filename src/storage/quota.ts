// What the operator allows the data folder to hold, and how near it is. Asking is a comparison of two numbers; whoever measures the
// folder sets the figure in the background. Uploads are refused first and messages last; deleting never asks.
import { AccountBounds } from "./account-bounds.ts";
import { StorageError } from "./errors.ts";

/** What wants to grow: bytes of a file, a new thing, a message or another entry of something that is there. */
export type Growth = "upload" | "thing" | "message";

/** Share of the maximum from which each is refused. */
const REFUSED_FROM: Readonly<Record<Growth, number>> = { upload: 0.9, thing: 0.95, message: 1 };

const SENTENCES: Readonly<Record<Growth, string>> = {
  upload:
    "The server's storage is almost full: files cannot be uploaded. Delete old sessions, or ask its operator for more.",
  thing:
    "The server's storage is almost full: nothing new can be made. Delete old sessions, or ask its operator for more.",
  message:
    "The server's storage is full: nothing was stored. Delete old sessions, or ask its operator for more.",
};

export class Quota {
  /** Set by whoever measures. */
  databaseBytes = 0;
  blobBytes = 0;

  /** 0 means no maximum. Read at each question, because it changes while the server runs. */
  constructor(
    private readonly maxBytes: () => number = () => 0,
    /** What one account may keep. */
    readonly accounts = new AccountBounds(),
  ) {}

  get usedBytes(): number {
    return this.databaseBytes + this.blobBytes;
  }

  get isLimited(): boolean {
    return this.maxBytes() > 0;
  }

  allows(growth: Growth, bytes = 0): boolean {
    const maximum = this.maxBytes();
    return maximum === 0 || this.usedBytes + bytes < maximum * REFUSED_FROM[growth];
  }

  /** What is refused now, for the log. */
  refused(): Growth[] {
    return (["upload", "thing", "message"] as const).filter((growth) => !this.allows(growth));
  }

  /** @throws StorageError "quota" with a sentence for the person at the client. */
  admit(growth: Growth, bytes = 0): void {
    if (!this.allows(growth, bytes)) throw new StorageError("quota", SENTENCES[growth]);
  }
}
