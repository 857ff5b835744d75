// The protobuf messages of contract 19, from the one text that people read too. Here Struct and Value are bytes, which struct.ts
// reads and writes, and 64-bit integers are numbers.
import protobuf from "protobufjs";
import proto from "./aduib-v2.proto" with { type: "text" };

protobuf.util.Long = undefined as never;
protobuf.configure();

const inner = proto
  .replace(/^import .*$/m, "")
  .replaceAll("google.protobuf.Struct", "bytes")
  .replaceAll("google.protobuf.Value", "bytes");
const { root } = protobuf.parse(inner, { keepCase: true });
root.resolveAll();

export const messageType = (name: string): protobuf.Type => root.lookupType(`aduib.rpc.v2.${name}`);
