// The parser of Socket.IO with a bound on the arguments of an event: Socket.IO spreads them over a call, and a call with very many of
// them throws where nobody catches it, which would end the process. What is JSON text already leaves as it stands.
import * as parser from "socket.io-parser";
import { JsonText } from "./json-text.ts";

/** Real clients send one, and a callback. */
const MAX_ARGUMENTS = 64;

/** What turns the text of a packet into the packet; private in the typings only. */
interface TextDecoder {
  decodeString(text: string): parser.Packet;
}

class BoundedDecoder extends parser.Decoder {}

const { decodeString } = parser.Decoder.prototype as unknown as TextDecoder;
Object.assign(BoundedDecoder.prototype, {
  decodeString(this: TextDecoder, text: string): parser.Packet {
    const packet = decodeString.call(this, text);
    // Thrown to Socket.IO, which closes the connection.
    if (Array.isArray(packet.data) && packet.data.length > MAX_ARGUMENTS)
      throw new Error("an event with too many arguments");
    return packet;
  },
} satisfies TextDecoder);

class PartsEncoder extends parser.Encoder {
  /** Of an event whose only argument is JSON text: its parts, which are joined when they are written. */
  override encode(packet: parser.Packet): string[] {
    const { type, nsp, id, data } = packet;
    const [event, argument] = type === parser.PacketType.EVENT && Array.isArray(data) ? data : [];
    if (!(argument instanceof JsonText)) return super.encode(packet) as string[];
    const head = `${type}${nsp === "/" ? "" : `${nsp},`}${id ?? ""}`;
    return [`${head}[${JSON.stringify(event)},${argument.text}]`];
  }
}

export const boundedParser = { ...parser, Decoder: BoundedDecoder, Encoder: PartsEncoder };
