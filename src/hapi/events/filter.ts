// Which connection hears of which event (B2). The namespace comes first, and nothing goes past it.

/** What a connection asked for. */
export interface Interest {
  readonly namespace: string;
  readonly all: boolean;
  readonly sessionId?: string | undefined;
  readonly machineId?: string | undefined;
}

/** What an event says of whom it concerns. */
export interface Told {
  readonly namespace: string;
  readonly sessionId?: string;
  readonly machineId?: string;
}

/** One that asked for nothing hears of nothing. */
export function concerns(interest: Interest, told: Told): boolean {
  if (told.namespace !== interest.namespace) return false;
  return (
    interest.all ||
    (told.sessionId !== undefined && told.sessionId === interest.sessionId) ||
    (told.machineId !== undefined && told.machineId === interest.machineId)
  );
}
