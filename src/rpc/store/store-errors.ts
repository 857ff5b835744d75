// What a store cannot do, as an error of the protocol: a disk that refuses is no fault of a call.
import { StorageError } from "../../storage/errors.ts";
import { RpcError } from "../wire/rpc-error.ts";

export const storeError = (error: unknown): unknown =>
  error instanceof StorageError ? new RpcError(5002, { message: error.message, cause: error }) : error;

export async function asRpcError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw storeError(error);
  }
}
