// Roost as a hub under test: its own server in this process, as it is without settings, on a fresh folder and a free port.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testServer } from "../support/server.ts";
import type { HubUnderTest } from "./hub-under-test.ts";
import type { Alternatives } from "./recordings-suite.ts";

/** What contract and recordings do not agree on: Roost may answer as either says. */
export const roostMay: Alternatives = {
  health: {
    why: "hapi-http-sse.md, H9",
    response: {
      headers: { "content-type": "application/json; charset=utf-8", "access-control-allow-origin": "*" },
      body: {
        status: "ok",
        timestamp: "{{str}}",
        service: "{{str}}",
        protocolVersion: 1,
        capabilities: { workGraph: "{{bool}}", titleSuggestion: "{{bool}}" },
      },
    },
  },
  "abort with no rpc handler": {
    why: "hapi-socket.md, 11 and 17.6",
    response: {
      headers: { "content-type": "application/json", vary: "Origin" },
      body: { error: "RPC handler not registered: {{SESSION_A}}:abort" },
    },
  },
};

export async function startRoostHub(): Promise<HubUnderTest> {
  const server = await testServer();
  try {
    // The token and the keys of Web Push are made at the first start, where the original keeps them.
    const kept = join(server.dataDir, "hapi", "settings.json");
    const { cliApiToken, vapidKeys } = existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : {};
    if (typeof cliApiToken !== "string") throw new Error(`${kept} holds no token`);
    return {
      url: server.url,
      token: cliApiToken,
      // The same host and port is always allowed (hapi-http-sse.md, H7).
      publicOrigin: server.url,
      vapidPublicKey: vapidKeys?.publicKey ?? "",
      // Keys that it does not know pass through (hapi-http-sse.md, A6; hapi-socket.md, 17.5).
      surplus: { unknownKey: "dropped", unknownMachineKey: "dropped" },
      tellsStoredSeq: true,
      stop: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
