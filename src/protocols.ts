// The protocols of this executable, one line each. Whoever adds one adds a folder and a line here; everything else asks this list.
import { frames } from "./frames/protocol.ts";
import { hapi } from "./hapi/protocol.ts";
import { happy } from "./happy/protocol.ts";
import { rpc } from "./rpc/protocol.ts";
import { topics } from "./topics/protocol.ts";

export const protocols = [happy, hapi, topics, frames, rpc] as const;
