// Where a Cursor session's history lies on its own host (hapi-http-sse C5): its machine is asked, else one of the same host.
import type { SessionKey } from "../store/rows.ts";
import { isObject, textAt } from "../wire/shape.ts";
import { callCli } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { denial, type Result, refusal } from "./result.ts";

const UNAVAILABLE = refusal("resume-unavailable", "Cursor resume metadata is unavailable");
const NO_MACHINE = refusal("no-machine", "No machine online");

export interface CursorStore {
  readonly onDisk: boolean;
  readonly store: "legacy" | "acp";
}

export async function cursorStore(core: HubCore, key: SessionKey): Promise<Result<CursorStore>> {
  const row = await core.store.findSession(key);
  if (typeof row === "string") return denial("session", row);
  const of = (name: string) => textAt(row.metadata, name);
  const [workspacePath, cursorSessionId] = [of("path"), of("cursorSessionId")];
  if (!workspacePath || !cursorSessionId || of("flavor") !== "cursor") return UNAVAILABLE;
  const machines = await core.store.listMachines(key.namespace);
  const present = machines.filter(({ id }) => core.machines.get(id)?.presence.active === true);
  const machine =
    present.find(({ id }) => id === of("machineId")) ??
    present.find(({ metadata }) => textAt(metadata, "host") === of("host"));
  if (machine === undefined) return NO_MACHINE;
  const homeDir = of("homeDir");
  const params = { workspacePath, cursorSessionId, homeDir };
  const called = await callCli(core, machine.id, "cursor-chat-store-status", params);
  if (!called.ok) return called;
  const { answer } = called;
  if (!isObject(answer) || typeof answer.onDisk !== "boolean" || !isStore(answer.store))
    return refusal("cli", textAt(answer, "error") ?? "The runner's answer is not one about a chat store");
  return { ok: true, onDisk: answer.onDisk, store: answer.store };
}

const isStore = (value: unknown): value is CursorStore["store"] => value === "legacy" || value === "acp";
