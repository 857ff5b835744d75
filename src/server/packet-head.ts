// The head of a Socket.IO packet, read without its JSON: type, attachments, namespace, number of the acknowledgement (socket.io-protocol
// version 5). What is behind it is not looked at, so that it costs the same whatever a client sends.

export interface PacketHead {
  /** One of "0" to "6". */
  readonly type: string;
  readonly attachments: number;
  /** Always with a slash; "/" when the packet names none. */
  readonly namespace: string;
  /** Where the name of the namespace begins and where what follows it begins; equal when the packet names none. */
  readonly nameAt: number;
  readonly nameEnd: number;
  readonly ackId: string;
  /** Where the JSON begins. */
  readonly jsonAt: number;
}

export const CONNECT = "0";
export const DISCONNECT = "1";
export const EVENT = "2";
export const ACK = "3";
export const CONNECT_ERROR = "4";
const BINARY_EVENT = "5";
export const BINARY_ACK = "6";

const HEAD = /^([0-6])(?:(\d{1,4})-)?(\/[^,"[{]{0,200}(?:,|$))?(\d{0,15})(?=[[{"]|$)/;
/** Longer than every head. */
const HEAD_CHARACTERS = 300;

/** Undefined for what no Socket.IO client sends. */
export function packetHead(packet: string): PacketHead | undefined {
  const found = HEAD.exec(packet.length > HEAD_CHARACTERS ? packet.slice(0, HEAD_CHARACTERS) : packet);
  if (found === null) return undefined;
  const [whole, type = "", attachments, name = "", ackId = ""] = found;
  const nameAt = attachments === undefined ? 1 : 2 + attachments.length;
  return {
    type,
    attachments: type === BINARY_EVENT || type === BINARY_ACK ? Number(attachments ?? 0) : 0,
    namespace: name === "" ? "/" : name.replace(/,$/, ""),
    nameAt,
    nameEnd: nameAt + name.length,
    ackId,
    jsonAt: whole.length,
  };
}

/** The name of an event packet's event; undefined when it is a number or very long. */
export function eventName(packet: string, { jsonAt }: PacketHead): string | undefined {
  const found = /^\[\s*("(?:[^"\\]|\\.){1,100}")/.exec(packet.slice(jsonAt, jsonAt + HEAD_CHARACTERS));
  if (found?.[1] === undefined) return undefined;
  try {
    return JSON.parse(found[1]);
  } catch {
    return undefined;
  }
}

/** A packet for `namespace` as one for `name`; one for another namespace stays. */
export function addressedTo(packet: string, name: string, namespace = "/"): string {
  const type = packet.charAt(0);
  const at = type === BINARY_EVENT || type === BINARY_ACK ? packet.indexOf("-") + 1 : 1;
  const given = prefixOf(namespace);
  const isFor = given === "" ? packet.charAt(at) !== "/" : packet.startsWith(given, at);
  return isFor ? `${packet.slice(0, at)}${prefixOf(name)}${packet.slice(at + given.length)}` : packet;
}

/** The packet that a head was read of as one for `namespace`. */
export function readdressed(packet: string, { nameAt, nameEnd }: PacketHead, namespace: string): string {
  const prefix = prefixOf(namespace);
  if (packet.slice(nameAt, nameEnd) === prefix) return packet;
  return packet.slice(0, nameAt) + prefix + packet.slice(nameEnd);
}

/** How a packet names its namespace. */
export function prefixOf(namespace: string): string {
  return namespace === "/" ? "" : `${namespace},`;
}
