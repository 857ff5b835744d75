// A call whose answer is server-sent events, whichever path it came by (contract 7, 30.1): what its headers wish of the stream, and the
// stream itself. A refusal before it is an answer like every other, never an event.
import type { RequestFacts } from "../../server/request-facts.ts";
import type { StreamShape } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { type Finished, isAdmitted, type Pipeline } from "../pipeline/pipeline.ts";
import { type FrameWriter, streamShape } from "../streams/frame-writer.ts";
import type { Streams } from "../streams/streams.ts";
import { isSafeInteger } from "../wire/problems.ts";
import { rpcError } from "../wire/rpc-error.ts";

export interface StreamParts {
  readonly pipeline: Pipeline;
  readonly streams: Streams;
}

export interface StreamAsked {
  readonly request: Request;
  readonly facts: RequestFacts;
  readonly incoming: Incoming;
  /** How the frames are written in the shape that was chosen. */
  readonly writer: (shape: StreamShape, call: Call) => FrameWriter;
}

/** A client may stay away. */
const MAX_RESUME_S = 300;

/** The frames, or what refused the call. */
export async function streamAnswer(
  { request, facts, incoming, writer }: StreamAsked,
  { pipeline, streams }: StreamParts,
): Promise<Response | Finished> {
  const { shape, resumeSeconds, refused } = wishes(incoming);
  const admitted = await pipeline.stream({ ...incoming, refused: incoming.refused ?? refused });
  if (!isAdmitted(admitted)) return admitted;
  return streams.open(admitted, { request, facts, writer: writer(shape, admitted.call), resumeSeconds });
}

interface Wishes {
  readonly shape: StreamShape;
  readonly resumeSeconds: number | undefined;
  readonly refused: unknown;
}

/** What a stream's own headers, and its envelope, say of it. */
function wishes({ headers, message, config, transport }: Incoming): Wishes {
  const standard = transport === "thrift" ? "response" : config.stream.shape[transport];
  try {
    return {
      shape: streamShape(headers.get("x-aduib-stream-shape"), message, standard),
      resumeSeconds: secondsOf(headers.get("x-aduib-resume")),
      refused: undefined,
    };
  } catch (refused) {
    return { shape: standard, resumeSeconds: undefined, refused };
  }
}

function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = numberOf(header);
  if (seconds !== undefined && seconds >= 1 && seconds <= MAX_RESUME_S) return seconds;
  throw rpcError(2003, "InvalidField", `must be 1 to ${MAX_RESUME_S} seconds`, {
    field: "header.x-aduib-resume",
  });
}

export function numberOf(text: string): number | undefined {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : undefined;
  return isSafeInteger(number) ? number : undefined;
}
