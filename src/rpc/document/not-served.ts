// Keys of the document that nothing acts on yet: who says something there is told so, since a port that is not opened looks like one that
// nobody reaches.
import { DEFAULT_DOCUMENT, type RpcDocument } from "./document.ts";

type Section = (document: RpcDocument) => unknown;

const NOT_YET: readonly (readonly [place: string, section: Section, what: string])[] = [
  ["rpc.grpc", ({ rpc }) => rpc.grpc, "gRPC is not served yet, and no port is opened for it"],
  ["stream.shape.grpc", ({ stream }) => stream.shape.grpc, "gRPC is not served yet"],
  ["rpc.thrift", ({ rpc }) => rpc.thrift, "Thrift is not served yet, and no port is opened for it"],
  ["rpc.services_dir", ({ rpc }) => rpc.services_dir, "methods of files of one's own are not loaded yet"],
  ["gateway", ({ gateway }) => gateway, "calls are not forwarded to instances yet"],
];

/** Sentences for the log. */
export const notServed = (document: RpcDocument): string[] =>
  NOT_YET.flatMap(([place, section, what]) =>
    Bun.deepEquals(section(document), section(DEFAULT_DOCUMENT)) ? [] : [`${place} has no effect: ${what}.`],
  );
