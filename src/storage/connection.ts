// A connection that is gone once it is closed. SQLite keeps one alive, with its locks, while a statement of it is not finalized, and
// statements are otherwise finalized whenever memory is next collected: until then the file would look as if somebody used it.
import { Database, type Statement } from "bun:sqlite";

/** Between two looks for those that memory has lost. */
const LOOK_AFTER = 256;

export class Connection extends Database {
  #prepared: WeakRef<Statement>[] = [];
  #lookAt = LOOK_AFTER;

  override prepare = ((...given: Parameters<Database["prepare"]>) => {
    const statement = super.prepare(...given);
    this.#prepared.push(new WeakRef(statement as Statement));
    if (this.#prepared.length >= this.#lookAt) this.#forgetLost();
    return statement;
  }) as Database["prepare"];

  /** Whatever is prepared throws from now on. */
  override close(throwOnError?: boolean): void {
    for (const statement of this.#prepared) statement.deref()?.finalize();
    this.#prepared = [];
    super.close(throwOnError);
  }

  /** Statements that are prepared for one use go with their users: what is remembered stays in proportion to those that are there. */
  #forgetLost(): void {
    this.#prepared = this.#prepared.filter((statement) => statement.deref() !== undefined);
    this.#lookAt = Math.max(LOOK_AFTER, 2 * this.#prepared.length);
  }
}
