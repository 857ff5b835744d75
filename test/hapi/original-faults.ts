// What the released hub does wrong (hapi-socket 17 and elsewhere in the contracts), each as a scene over real sockets that a hub without
// the fault passes. `fails` says how the released
// 0.30.7 fails it.
import { expect } from "bun:test";
import { until } from "../support/until.ts";
import type { Json } from "./placeholders.ts";
import type { Stage } from "./stage.ts";

type Members = { [key: string]: Json };

export interface Fault {
  /** As the table in docs/protocols/hapi-faults.md names it. */
  readonly name: string;
  /** How the released hub fails it; undefined when only the baseline did. */
  readonly fails: RegExp | undefined;
  readonly scene: (acts: Acts) => Promise<void>;
}

const PLACE = { path: "/w", host: "h", flavor: "claude" };
const HOST = { host: "h", platform: "linux", happyCliVersion: "0.30.7" };

/** A session `s` whose CLI is there, and a machine `m` whose runner is. */
export class Acts {
  private constructor(
    readonly stage: Stage,
    readonly sid: string,
  ) {}

  static async on(stage: Stage): Promise<Acts> {
    await stage.ask("POST", "/cli/machines", { id: "m", metadata: { ...HOST, odd: { kept: [1] } } });
    const body = { tag: "s", metadata: { ...PLACE, odd: { kept: [1] } }, agentState: null };
    const { session } = (await stage.ask("POST", "/cli/sessions", body)) as { session: { id: string } };
    const acts = new Acts(stage, session.id);
    await stage.cli("runner", { machineId: "m" });
    await stage.cli("cli", { sessionId: acts.sid });
    await acts.alive();
    return acts;
  }

  get cli() {
    return this.stage.client("cli");
  }

  at(rest = ""): string {
    return `/api/sessions/${this.sid}${rest}`;
  }

  async alive(more: Members = {}, by = "cli"): Promise<void> {
    const client = this.stage.client(by);
    client.emit("session-alive", { sid: this.sid, time: Date.now(), thinking: false, ...more });
    await client.flush();
  }

  async session(): Promise<Members> {
    return ((await this.stage.ask("GET", this.at())) as { session: Members }).session;
  }

  /** The metadata as it is stored: whoever writes from a version that never was is told it. */
  async stored(): Promise<{ version: number; metadata: Members }> {
    const wish = { sid: this.sid, expectedVersion: 999, metadata: PLACE };
    const [answer] = await this.cli.ask("update-metadata", wish);
    return answer as unknown as { version: number; metadata: Members };
  }

  updates(of = "cli"): number {
    return this.stage.client(of).heard.all.filter(({ event }) => event === "update").length;
  }

  /** A message that waits for its CLI. */
  async post(localId: string): Promise<void> {
    await this.stage.ask("POST", this.at("/messages"), { text: "go on", localId });
  }

  async isUp(): Promise<void> {
    expect((await this.stage.fetch("GET", "/health")).status).toBe(200);
    expect(await this.cli.ask("ping")).toEqual([]);
  }

  async register(by: string, ...names: string[]): Promise<void> {
    const client = this.stage.client(by);
    for (const name of names) client.emit("rpc-register", { method: `${this.sid}:${name}` });
    await client.flush().catch(() => {});
  }

  called(by: string): number {
    return this.stage.client(by).heard.all.filter(({ event }) => event === "rpc-request").length;
  }
}

const paramsOf = (call: Json): Members => JSON.parse(`${(call as Members).params}`);

const withoutId = (event: string, payload?: Members): Fault => ({
  name: `17.1: ${event} without an acknowledgement id ends nothing`,
  fails: /ECONN|no acknowledgement of ping/,
  scene: async (acts) => {
    const target = event.startsWith("machine") ? { machineId: "m" } : { sid: acts.sid };
    acts.cli.socket.emit(event, ...(payload === undefined ? [] : [{ ...target, ...payload }]));
    await acts.isUp();
  },
});

const keeps = (what: string, change: (acts: Acts) => Promise<unknown>): Fault => ({
  name: `17.5: ${what} takes no unknown key of the metadata away`,
  fails: /\n-\s+"odd": \{/,
  scene: async (acts) => {
    await change(acts);
    expect((await acts.stored()).metadata).toMatchObject({ odd: { kept: [1] } });
  },
});

const PERMISSION = "/permissions/r1";
const FIRST = { expectedVersion: 1 };

export const FAULTS: readonly Fault[] = [
  withoutId("ping"),
  withoutId("update-metadata", { ...FIRST, metadata: PLACE }),
  withoutId("update-state", { ...FIRST, agentState: {} }),
  withoutId("machine-update-metadata", { ...FIRST, metadata: HOST }),
  withoutId("machine-update-state", { ...FIRST, runnerState: { status: "running" } }),
  {
    name: "17.2: no namespace answers calls to another one's sessions",
    fails: /\[\n-\s+0,\n\s+1,\n\+\s+0,/,
    scene: async (acts) => {
      await acts.stage.cli("thief", {}, "other");
      acts.stage.client("thief").answer = () => JSON.stringify({ success: true });
      acts.cli.answer = () => JSON.stringify({ success: true });
      await acts.register("cli", "abort");
      await acts.register("thief", "abort");
      expect((await acts.stage.fetch("POST", acts.at("/abort"))).status).toBe(200);
      expect([acts.called("thief"), acts.called("cli")]).toEqual([0, 1]);
    },
  },
  {
    name: "17.3: files of several megabytes reach their CLI, and come from it",
    fails: undefined,
    scene: async (acts) => {
      const content = "AAAA".repeat(1_000_000);
      acts.cli.answer = (_, call) => {
        const { content: sent } = paramsOf(call);
        return JSON.stringify({ success: true, ...(sent === content ? { path: "/blobs/1" } : { content }) });
      };
      await acts.register("cli", "uploadFile", "readFile");
      const body = { filename: "a.bin", mimeType: "text/plain", content };
      const answer = await acts.stage.ask("POST", acts.at("/upload"), body);
      expect(answer).toEqual({ success: true, path: "/blobs/1" });
      const file = (await acts.stage.ask("GET", acts.at("/file?path=a"))) as Members;
      expect(file.content === content).toBe(true);
      await acts.isUp();
    },
  },
  {
    name: "17.4: members of a keep-alive that are of a wrong type are not stored",
    fails: /Received: 5/,
    scene: async (acts) => {
      await acts.alive({ permissionMode: 5, model: 7, effort: { a: 1 }, modelReasoningEffort: [1] });
      const { permissionMode, model, effort, modelReasoningEffort } = await acts.session();
      expect(permissionMode).toBeUndefined();
      expect([model, effort, modelReasoningEffort]).toEqual([null, null, null]);
    },
  },
  {
    name: "17.5: replies show unknown keys of metadata",
    fails: /\n-\s+"odd": \{/,
    scene: async (acts) => {
      expect(await acts.session()).toMatchObject({ metadata: { odd: { kept: [1] } } });
      const { machine } = (await acts.stage.ask("GET", "/cli/machines/m")) as { machine: Members };
      expect(machine).toMatchObject({ metadata: { odd: { kept: [1] } } });
    },
  },
  keeps("a rename", (acts) => acts.stage.ask("PATCH", acts.at(), { name: "another" })),
  keeps("a keep-alive that names a mode", (acts) => acts.alive({ permissionMode: "plan" })),
  keeps("a change of the mode", async (acts) => {
    acts.cli.answer = (_, call) => JSON.stringify({ applied: paramsOf(call) });
    await acts.register("cli", "set-session-config");
    await acts.stage.ask("POST", acts.at("/permission-mode"), { mode: "plan" });
  }),
  keeps("an archiving without its CLI", async (acts) => {
    await acts.stage.ask("POST", acts.at("/archive"));
  }),
  {
    name: "17.6: abort, switch, approve and deny say that their CLI is absent",
    fails: /\n\+\s+"Internal Server Error"/,
    scene: async (acts) => {
      const requests = { r1: { tool: "Bash", arguments: {}, createdAt: 1 } };
      await acts.cli.ask("update-state", { sid: acts.sid, ...FIRST, agentState: { requests } });
      for (const [path, name] of [
        ["/abort", "abort"],
        ["/switch", "switch"],
        [`${PERMISSION}/approve`, "permission"],
        [`${PERMISSION}/deny`, "permission"],
      ] as const) {
        const response = await acts.stage.fetch("POST", acts.at(path));
        expect([response.status, await response.text()]).toEqual([
          500,
          JSON.stringify({ error: `RPC handler not registered: ${acts.sid}:${name}` }),
        ]);
      }
    },
  },
  {
    name: "17.7: a keep-alive that names a mode makes no write of its CLI fail",
    fails: /"version-mismatch"/,
    scene: async (acts) => {
      await acts.alive({ permissionMode: "plan" });
      const wish = { sid: acts.sid, ...FIRST, metadata: { ...PLACE, name: "n" } };
      expect(await acts.cli.ask("update-metadata", wish)).toMatchObject([{ result: "success" }]);
    },
  },
  {
    name: "17.7: a shell that ends tells its exit code after its error",
    fails: /\n\+\s+"event": "terminal:error"/,
    scene: async (acts) => {
      await acts.stage.web("page");
      const page = acts.stage.client("page");
      const terminal = { sessionId: acts.sid, terminalId: "t" };
      page.emit("terminal:create", { ...terminal, cols: 80, rows: 24 });
      await until("the CLI to be asked", () =>
        acts.cli.heard.all.some(({ event }) => event === "terminal:open"),
      );
      acts.cli.emit("terminal:ready", terminal);
      acts.cli.emit("terminal:error", { ...terminal, message: "Terminal stream closed unexpectedly." });
      acts.cli.emit("terminal:exit", { ...terminal, code: 3, signal: null });
      await acts.cli.flush();
      await acts.stage.quiet();
      expect(page.heard.all.at(-1)).toEqual({
        event: "terminal:exit",
        payload: { ...terminal, code: 3, signal: null },
      });
    },
  },
  {
    name: "17.8: what waits is told once to a CLI, and once to one that connects anew",
    fails: /Received: 4/,
    scene: async (acts) => {
      await acts.post("l1");
      for (let beat = 0; beat < 3; beat++) await acts.alive();
      await acts.stage.quiet();
      expect(acts.updates()).toBe(1);
      await acts.stage.cli("cli", { sessionId: acts.sid });
      for (let beat = 0; beat < 3; beat++) await acts.alive();
      await acts.stage.quiet();
      expect(acts.updates()).toBe(1);
    },
  },
  {
    name: "17.9: a ping that carries something is acknowledged like any other",
    fails: /no acknowledgement of ping/,
    scene: async (acts) => {
      expect(await acts.cli.ask("ping", { a: 1 })).toEqual([]);
      await acts.isUp();
    },
  },
  {
    name: "17.9: an answer of null to a cancelled message ends nothing",
    fails: /ECONN|no acknowledgement of ping/,
    scene: async (acts) => {
      await acts.post("l1");
      acts.cli.answer = () => null;
      expect(await acts.stage.ask("DELETE", acts.at("/messages/l1"))).toEqual({
        status: "busy",
        localId: "l1",
      });
      await acts.isUp();
    },
  },
  {
    name: "17.9: a mode that no agent knows keeps no later one from being stored",
    fails: /\n\+\s+"preferredPermissionMode": "nobody-knows-it"/,
    scene: async (acts) => {
      await acts.alive({ permissionMode: "nobody-knows-it" });
      await acts.alive({ permissionMode: "plan" });
      await acts.stage.quiet();
      expect((await acts.stored()).metadata).toMatchObject({ preferredPermissionMode: "plan" });
    },
  },
  {
    name: "11: when a registrant goes, the one before it answers again",
    fails: /in vain for the first to be asked/,
    scene: async (acts) => {
      acts.cli.answer = () => JSON.stringify({ success: true });
      await acts.register("cli", "abort");
      await acts.stage.cli("second", { sessionId: acts.sid });
      await acts.register("second", "abort");
      acts.stage.leave("second");
      await until(
        "the first to be asked",
        async () => {
          const { status } = await acts.stage.fetch("POST", acts.at("/abort"));
          return status === 200 && acts.called("cli") > 0;
        },
        5_000,
      );
    },
  },
  {
    name: "14: a call under way fails at once when its CLI goes",
    fails: /timed out/,
    scene: async (acts) => {
      await acts.register("cli", "git-status");
      // It hears the call and never answers.
      acts.cli.socket.offAny();
      const { promise: asked, resolve } = Promise.withResolvers<void>();
      acts.cli.socket.onAny(() => resolve());
      const answer = acts.stage.ask("GET", acts.at("/git-status"));
      await asked;
      acts.stage.leave("cli");
      expect(await answer).toEqual({
        success: false,
        error: `RPC socket disconnected: ${acts.sid}:git-status`,
      });
    },
  },
  {
    name: "18.4: terminals that nobody looks at lock nobody out",
    fails: /Too many terminals open for this session/,
    scene: async (acts) => {
      await acts.stage.web("page");
      const create = (page: string, terminalId: string) =>
        acts.stage
          .client(page)
          .emit("terminal:create", { sessionId: acts.sid, terminalId, cols: 80, rows: 24 });
      const opened = () => acts.cli.heard.all.filter(({ event }) => event === "terminal:open").length;
      for (const id of ["a", "b", "c", "d"]) create("page", id);
      await until("four terminals", () => opened() === 4);
      acts.stage.leave("page");
      await acts.stage.web("next");
      await acts.stage.quiet();
      create("next", "e");
      await acts.stage.quiet();
      expect(acts.stage.client("next").heard.all).toEqual([]);
      expect(opened()).toBe(5);
    },
  },
  {
    name: "H7: a page of the very address that it asks may use the sockets",
    fails: /Received: 403/,
    scene: async ({ stage }) => {
      const path = "/socket.io/?EIO=4&transport=polling";
      const { status } = await stage.fetch("GET", path, undefined, { origin: stage.hub.url });
      expect(status).toBe(200);
      const answer = await stage.fetch("GET", "/api/machines", undefined, { origin: stage.hub.url });
      expect(answer.headers.get("access-control-allow-origin")).toBe(stage.hub.url);
    },
  },
];
