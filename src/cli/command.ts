// What every command is.

export interface Command {
  readonly about: string;
  /** What `roost help <command>` shows; every command and setting when absent. */
  readonly usage?: string;
  /** Exit code. @throws UsageError, or any Error whose message is a sentence for the person. */
  run(argv: readonly string[]): Promise<number>;
}
