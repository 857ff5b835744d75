// Runs in a worker thread: one sync of an open file for each message. Descriptors belong to the process, so that this thread has them too.
import { codeOf } from "./errors.ts";
import { type SyncWay, syncCall } from "./sync-call.ts";

export interface FullSyncTask {
  readonly descriptor: number;
  readonly way: SyncWay;
}

export interface FullSyncAnswer {
  readonly error?: { readonly message: string; readonly code: string };
}

declare const self: Worker;

const calls = new Map<SyncWay, (descriptor: number) => void>();

self.onmessage = ({ data: { descriptor, way } }: MessageEvent<FullSyncTask>) => {
  self.postMessage(answer(descriptor, way));
};

function answer(descriptor: number, way: SyncWay): FullSyncAnswer {
  try {
    const call = calls.get(way) ?? syncCall(way);
    calls.set(way, call);
    call(descriptor);
    return {};
  } catch (error) {
    return {
      error: { message: error instanceof Error ? error.message : String(error), code: codeOf(error) },
    };
  }
}
