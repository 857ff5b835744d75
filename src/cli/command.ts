// What every command is.

/** `P`: the program that it belongs to, with its protocols and settings. */
export interface Command<P = unknown> {
  readonly about: string;
  /** What `roost help <command>` shows; every command and setting when absent. */
  readonly usage?: string;
  /** Exit code. @throws UsageError, or any Error whose message is a sentence for the person. */
  run(argv: readonly string[], program: P): Promise<number>;
}
