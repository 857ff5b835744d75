// What people gave, before anything is parsed, and where.

export interface RawValue {
  /** Text, but what YAML wrote as a switch, a list or a structure is given as such. */
  readonly value: unknown;
  /** The flag, the variable, or the key and place in the file, as the person wrote it. */
  readonly source: string;
}

/** By the name of the setting. */
export type RawSettings = Readonly<Partial<Record<string, RawValue>>>;
