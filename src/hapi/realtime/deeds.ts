// What socket events do to sessions and machines: the part of the hub that the sockets call. Input is checked when it gets here. Who asks
// is in one namespace, and whatever is not there, or is another's, is an answer and no error. What throws is unexpected.

/** Why somebody may not have a session or machine: there is none, or it is another namespace's. */
export type Absence = "not-found" | "access-denied";

/** Undefined: it was there. */
export type Presence = Absence | undefined;

export interface Sender {
  readonly namespace: string;
  /** Its socket, which is not told of what it did itself. Calls of one socket are begun in the order in which they came. */
  readonly socket: object;
}

export interface SentMessage {
  readonly sid: string;
  readonly content: unknown;
  readonly localId: string | undefined;
  /** As the client's clock has it. */
  readonly createdAt: number | undefined;
}

/** Of what is undefined nothing was said. */
export interface SessionAlive {
  readonly sid: string;
  readonly time: number;
  readonly thinking: boolean;
  readonly permissionMode?: string | undefined;
  readonly modelMode?: string | undefined;
  readonly model?: string | null | undefined;
  readonly modelReasoningEffort?: string | null | undefined;
  readonly effort?: string | null | undefined;
  readonly serviceTier?: string | null | undefined;
  readonly collaborationMode?: string | undefined;
  readonly copilotAgentMode?: string | undefined;
}

export type EndReason = "completed" | "terminated" | "error" | "handoff" | "cleared";

export interface SessionEnd {
  readonly sid: string;
  readonly time: number;
  readonly reason: EndReason | undefined;
}

export interface MachineAlive {
  readonly machineId: string;
  readonly time: number;
  /** As it came; undefined when nothing was said of it. */
  readonly health: unknown;
}

export interface ValueWish {
  /** Of a session or a machine, as the value asks. */
  readonly id: string;
  readonly expectedVersion: number;
  readonly value: unknown;
}

/** The acknowledgement of hapi-socket 9, with the value under its own key. */
export interface ValueAnswer {
  readonly result: "success" | "version-mismatch" | "error";
  readonly [key: string]: unknown;
}

/** Sends it. Called once, before the change is announced to anybody. */
export type Answer = (answer: ValueAnswer) => void;

export interface HubDeeds {
  sessionAbsence(namespace: string, id: string): Promise<Presence>;
  machineAbsence(namespace: string, id: string): Promise<Presence>;
  /** It is the namespace's and its CLI is alive: from memory, since keystrokes come behind the question. */
  isSessionActive(namespace: string, id: string): boolean;

  message(from: Sender, message: SentMessage): Promise<Presence>;
  sessionAlive(from: Sender, alive: SessionAlive): Promise<Presence>;
  sessionEnd(from: Sender, end: SessionEnd): Promise<Presence>;
  sessionReady(from: Sender, ready: { readonly sid: string; readonly time: number }): Promise<Presence>;
  updateMetadata(from: Sender, wish: ValueWish, answer: Answer): Promise<void>;
  updateAgentState(from: Sender, wish: ValueWish, answer: Answer): Promise<void>;

  machineAlive(from: Sender, alive: MachineAlive): Promise<Presence>;
  updateMachineMetadata(from: Sender, wish: ValueWish, answer: Answer): Promise<void>;
  updateRunnerState(from: Sender, wish: ValueWish, answer: Answer): Promise<void>;
  agyModelsChanged(from: Sender, machineId: string): Promise<Presence>;

  messagesConsumed(
    from: Sender,
    consumed: {
      readonly sid: string;
      readonly localIds: readonly string[];
      readonly clearQueuedThinkingGrace: boolean;
      readonly steered: boolean;
    },
  ): Promise<Presence>;
  messagesIndeterminate(
    from: Sender,
    lost: { readonly sid: string; readonly localIds: readonly string[] },
  ): Promise<Presence>;
  /** @returns whether the state was set; the absence when there is no such session. */
  messagesSteerState(
    from: Sender,
    steer: {
      readonly sid: string;
      readonly localIds: readonly string[];
      readonly state: "queued" | "dispatching";
    },
  ): Promise<boolean | Absence>;
  /** `text` null takes the queued message away. */
  nativeQueueMessage(
    from: Sender,
    message: { readonly sid: string; readonly localId: string; readonly text: string | null },
  ): Promise<Presence>;
}
