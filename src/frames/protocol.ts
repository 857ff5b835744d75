// The manifest of the frames hub: broadcasts, rooms and direct messages over plain WebSockets. Off until it is asked for.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { FRAMES_BOUNDS } from "./bounds.ts";
import { type FramesConfig, framesSettings, hubVariables } from "./settings.ts";
import { settleHub } from "./settle.ts";
import { framesOn } from "./switch.ts";

export const frames: ProtocolManifest<FramesConfig> = {
  name: "frames",
  settings: framesSettings,
  variables: hubVariables,
  // Frames contract, section 15.
  originalFile: { prefix: "GOHUB_", laterPlace: "server.hub." },
  settle: settleHub,
  bounds: FRAMES_BOUNDS,
  isOn: framesOn,
  databases: [],
  commands: { frames: async () => (await import("./command.ts")).framesCommand },
  open: async (house) => (await import("./index.ts")).framesProtocol(house),
};
