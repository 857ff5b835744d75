// How hub operations fail: classes with the stable names of frames contract 5.1, and the code with which a client hears of each
// (5.3). These codes are a number space of their own.

export const errorCodes = {
  unknown: 1000,
  invalidFormat: 1001,
  invalidType: 1002,
  serverError: 1003,
  timeout: 1004,
  rateLimited: 1005,
  unauthorized: 2000,
  forbidden: 2001,
  tokenExpired: 2002,
  invalidToken: 2003,
  roomNotFound: 3000,
  roomAlreadyExists: 3001,
  roomIsFull: 3002,
  notInRoom: 3003,
  alreadyInRoom: 3004,
  clientNotFound: 4000,
  clientOffline: 4001,
  messageTooLarge: 4002,
} as const;

/** An expected failure: its message may be shown to the client that caused it. */
export abstract class HubError extends Error {
  abstract override readonly name: string;
  abstract readonly code: number;
}

/** The id is not known here, and the bus could not take the message. */
export class ClientNotFoundError extends HubError {
  override readonly name = "ErrClientNotFound";
  readonly code = errorCodes.clientNotFound;
  constructor() {
    super("client not found");
  }
}

/** The client's queue is full; the frame was not queued. */
export class SendBufferFullError extends HubError {
  override readonly name = "ErrSendBufferFull";
  readonly code = errorCodes.rateLimited;
  constructor() {
    super("the client's send buffer is full");
  }
}

/** The client was shut down. */
export class ClientClosedError extends HubError {
  override readonly name = "ErrClientClosed";
  readonly code = errorCodes.unknown;
  constructor() {
    super("the client is closed");
  }
}

export class RoomNotFoundError extends HubError {
  override readonly name = "ErrRoomNotFound";
  readonly code = errorCodes.roomNotFound;
  constructor() {
    super("room not found");
  }
}

export class RoomAlreadyExistsError extends HubError {
  override readonly name = "ErrRoomAlreadyExists";
  readonly code = errorCodes.roomAlreadyExists;
  constructor() {
    super("room already exists");
  }
}

export class RoomIsFullError extends HubError {
  override readonly name = "ErrRoomIsFull";
  readonly code = errorCodes.roomIsFull;
  constructor() {
    super("room is full");
  }
}

export class ClientNotInRoomError extends HubError {
  override readonly name = "ErrClientNotInRoom";
  readonly code = errorCodes.notInRoom;
  constructor() {
    super("client is not in the room");
  }
}

export class ClientAlreadyInRoomError extends HubError {
  override readonly name = "ErrClientAlreadyInRoom";
  readonly code = errorCodes.alreadyInRoom;
  constructor() {
    super("client is already in the room");
  }
}

/** A limit of this server: rooms of one client, rooms altogether, messages that wait. */
export class LimitError extends HubError {
  override readonly name = "ErrLimit";
  readonly code = errorCodes.rateLimited;
}

/** What a handler cannot read. */
export class InvalidFormatError extends HubError {
  override readonly name = "ErrInvalidFormat";
  readonly code = errorCodes.invalidFormat;
}

export class ForbiddenError extends HubError {
  override readonly name = "ErrForbidden";
  readonly code = errorCodes.forbidden;
  constructor() {
    super("permission denied");
  }
}
