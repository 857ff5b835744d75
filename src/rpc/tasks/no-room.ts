// What a client is told when as many tasks wait and run as may be.
import { rpcError } from "../wire/rpc-error.ts";

export const noRoomForTasks = () => rpcError(5021, "task", "as many tasks wait and run as may be");
