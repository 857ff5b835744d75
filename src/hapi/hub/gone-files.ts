// Files of notes of sessions that a command has deleted, while no hub runs that would see to them.
import type { HapiStore } from "../store/contract.ts";
import type { SessionKey } from "../store/rows.ts";
import { namedFiles, ScratchFiles } from "./scratch-files.ts";

export class GoneFiles {
  readonly #files: ScratchFiles;
  #underWay: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(
    home: string,
    private readonly store: Pick<HapiStore, "listScratchAttachments">,
  ) {
    this.#files = new ScratchFiles({ home });
  }

  /** Begins to remove what no note names, of one session after the other. */
  gone(session: SessionKey): void {
    const named = async () => namedFiles(await this.store.listScratchAttachments());
    this.#underWay = this.#underWay
      .then(() => this.#files.sweep(named, session))
      .catch((error: unknown) => {
        // Told to whoever waits for the end; the next session's files go all the same.
        this.#failure ??= { error };
      });
  }

  /** @throws what the disk said first */
  async settled(): Promise<void> {
    await this.#underWay;
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
