// An access key as HTTP and sockets give it, pure (HTTP contract 10.1, realtime contract 6.14).
import type { AccessKeyRow } from "../store/access-keys.ts";

export function accessKeyBody({ data, dataVersion, createdAt, updatedAt }: AccessKeyRow) {
  return { data, dataVersion, createdAt, updatedAt };
}
