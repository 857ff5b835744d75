// What web clients ask of a session's CLI, and get as it answers: its files, its git, its commands (hapi-http-sse A9).
import type { SessionKey, SessionRow } from "../store/rows.ts";
import { type FoundFile, filesIn, searchArgs, withStats } from "../wire/file-search.ts";
import { flavourOf } from "../wire/flavours.ts";
import { metadataView } from "../wire/metadata.ts";
import { isObject, textAt } from "../wire/shape.ts";
import { mergedCommands } from "../wire/slash-commands.ts";
import { type CallOptions, callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { isShared } from "./live-sessions.ts";
import { denial, type Result, refusal } from "./result.ts";

const ABORTED = "Stopped by a person in the web app";
/** Nobody has it alone. */
export const NOT_SWITCHED = refusal("not-applicable", "Shared sessions do not switch modes");
const NO_COMMANDS = refusal("cli", "Unexpected listSlashCommands result");
export const NO_PATH = refusal("unsupported", "Session path not available");

type Answer = Result<{ readonly answer: unknown }>;

export class SessionCalls {
  constructor(private readonly core: HubCore) {}

  /** Any function of its CLI, whether the session is at work or not. */
  async call(session: SessionKey, method: string, params: unknown, options?: CallOptions): Promise<Answer> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    return callCli(this.core, session.id, method, params, options);
  }

  /** One that works in the session's folder. */
  async callInFolder(session: SessionKey, method: string, params: object): Promise<Answer> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    const cwd = pathOf(row);
    return cwd === undefined ? NO_PATH : callCli(this.core, session.id, method, { cwd, ...params });
  }

  /** Of the session, for what works in it. */
  async folder(session: SessionKey): Promise<Result<{ readonly path: string }>> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    const path = pathOf(row);
    return path === undefined ? NO_PATH : { ok: true, path };
  }

  /** Ends what its agent does just now. */
  abort(session: SessionKey): Promise<Answer> {
    return this.call(session, "abort", { reason: ABORTED });
  }

  /** Out of its terminal's hands. */
  async switchToRemote(session: SessionKey): Promise<Answer> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    if (isShared(row.metadata)) return NOT_SWITCHED;
    return callCli(this.core, session.id, "switch", { to: "remote" });
  }

  async files(
    session: SessionKey,
    query: string,
    limit: number,
  ): Promise<Result<{ readonly files: readonly FoundFile[] }>> {
    const wanted = query.trim();
    const called = await this.callInFolder(session, "ripgrep", {
      args: searchArgs(wanted),
      fileSearch: { query: wanted, limit },
    });
    if (!called.ok) return called;
    const { answer } = called;
    if (!isObject(answer) || answer.success !== true) {
      return refusal("cli", errorOf(answer) ?? "Failed to list files");
    }
    const files = filesIn(textAt(answer, "stdout") ?? "", wanted, limit);
    const paths = files.map(({ fullPath }) => fullPath);
    const stats = await callCli(this.core, session.id, "statFiles", { paths });
    return { ok: true, files: stats.ok ? withStats(files, stats.answer) : files };
  }

  /** The CLI's answer with the names of the metadata; those alone when it cannot be asked and there are some. */
  async slashCommands(session: SessionKey): Promise<Answer> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    const metadata = metadataView(row.metadata);
    const called = await callCli(this.core, session.id, "listSlashCommands", { agent: agentOf(row) });
    if (called.ok && isObject(called.answer) && called.answer.success === true) {
      return {
        ok: true,
        answer: { ...called.answer, commands: mergedCommands(called.answer.commands, metadata) },
      };
    }
    const commands = mergedCommands([], metadata);
    if (commands.length > 0) return { ok: true, answer: { success: true, commands } };
    return called.ok && !isObject(called.answer) ? NO_COMMANDS : called;
  }

  async skills(session: SessionKey): Promise<Answer> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    return callCli(this.core, session.id, "listSkills", { flavor: agentOf(row) });
  }
}

/** As its metadata names it, also one that is not known here. */
const agentOf = (row: SessionRow): string => textAt(row.metadata, "flavor") ?? flavourOf(row.metadata);

/** Also of metadata that clients cannot read as a whole. */
const pathOf = (row: SessionRow): string | undefined => textAt(row.metadata, "path");
