// Settings of the hub that its owner changes while it runs. They stand in settings.json, where the original keeps them.
import { changeSettingsFile, readSettingsFile, type SettingsFile } from "./settings-file.ts";

const NAMES = ["sessionSummaryContract", "sessionSummaryInChat"] as const;

export type OwnersSettings = Readonly<Record<(typeof NAMES)[number], boolean>>;

export class HubSettings implements OwnersSettings {
  #now: OwnersSettings;

  constructor(private readonly home: string) {
    this.#now = settingsIn(readSettingsFile(home));
  }

  /** Whether agents are asked to keep a summary of their session. */
  get sessionSummaryContract(): boolean {
    return this.#now.sessionSummaryContract;
  }

  /** Whether web clients show it among the messages. */
  get sessionSummaryInChat(): boolean {
    return this.#now.sessionSummaryInChat;
  }

  /** Resolves when it is in the file. @throws Error with a sentence when that cannot be written */
  async change(wanted: { readonly [Name in keyof OwnersSettings]?: boolean | undefined }): Promise<void> {
    const written = await changeSettingsFile(this.home, (file) => {
      const changed: Record<string, unknown> = { ...file };
      for (const name of NAMES) if (wanted[name] !== undefined) changed[name] = wanted[name];
      return changed;
    });
    this.#now = settingsIn(written);
  }
}

/** What is no yes is a no. */
const settingsIn = (file: SettingsFile): OwnersSettings => ({
  sessionSummaryContract: file.sessionSummaryContract === true,
  sessionSummaryInChat: file.sessionSummaryInChat === true,
});
