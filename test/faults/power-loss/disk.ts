// A disk that keeps no promise it did not make: rebuilds the files of one folder as they could be after a power cut at any point of
// a recording. What was synced is there. What was not may be there, be missing, or be there in part, in any order; names that were
// not synced with their folder likewise. Which thread synced, and by which call, makes no difference.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "../random.ts";
import type { SystemCall } from "./system-calls.ts";

interface Change {
  readonly began: number;
  readonly over: number;
  /** From this place on, a power cut cannot take it back. */
  durableFrom: number;
}
interface Opened {
  readonly node: Node;
  /** Where the next write without a place of its own goes. */
  position: number;
  readonly appends: boolean;
}
interface Write extends Change {
  readonly offset: number;
  readonly data: Uint8Array;
}
interface Resize extends Change {
  readonly size: number;
}
interface Naming extends Change {
  readonly name: string;
  /** Undefined when the name went. */
  readonly node: Node | undefined;
}
interface File {
  readonly kind: "file";
  readonly changes: (Write | Resize)[];
  readonly syncs: SystemCall[];
  size: number;
}
interface Folder {
  readonly kind: "folder";
  readonly changes: Naming[];
  readonly syncs: SystemCall[];
  readonly names: Map<string, Node>;
}
type Node = File | Folder;

/** What becomes of changes that were not synced. */
export type Fate = "gone" | "kept" | "first ones kept" | "each by chance";
export const FATES: readonly Fate[] = ["gone", "kept", "first ones kept", "each by chance"];

const SECTOR = 512;
const PAGE = 4096;

export class Disk {
  readonly #root = folder();
  readonly #files: File[] = [];

  /** @param calls of every process that used the folder, from the time when it was empty. */
  constructor(
    private readonly path: string,
    calls: readonly SystemCall[],
  ) {
    const open = new Map<number, Opened>();
    const everySync: SystemCall[] = [];
    for (const call of calls) {
      if (call.name === "sync") everySync.push(call);
      else if (call.target.startsWith("TCP")) continue;
      else if (call.result >= 0) this.#apply(call, open);
    }
    settle(this.#root, everySync);
    for (const file of this.#files) settle(file, everySync);
  }

  /** The place from which on a power cut cannot take these bytes back: written, synced, and the file's name too. */
  durableFrom(bytes: Uint8Array): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { node, from } of this.#named(this.#root, -1)) {
      for (const change of node.changes) {
        if (!("data" in change) || Math.max(from, change.durableFrom) >= first) continue;
        if (Buffer.from(change.data.buffer, change.data.byteOffset, change.data.byteLength).includes(bytes))
          first = Math.max(from, change.durableFrom);
      }
    }
    return first;
  }

  /** Writes the folder as it could be after a cut at this place. */
  image(cut: number, random: Random, fate: Fate, target: string): void {
    const write = (node: Node, path: string) => {
      if (node.kind === "file")
        return writeFileSync(path, contentAt(node, cut, random, fate), { mode: 0o600 });
      mkdirSync(path, { recursive: true, mode: 0o700 });
      for (const [name, inner] of namesAt(node, cut, random, fate)) write(inner, join(path, name));
    };
    write(this.#root, target);
  }

  /** What every file holds in the end, by its path below the folder. */
  *files(): Generator<{ path: string; content: Uint8Array }> {
    function* below(at: Folder, prefix: string): Generator<{ path: string; content: Uint8Array }> {
      for (const [name, node] of at.names)
        if (node.kind === "folder") yield* below(node, `${prefix}${name}/`);
        else yield { path: prefix + name, content: built(node.changes.map(whole)) };
    }
    yield* below(this.#root, "");
  }

  *#named(at: Folder, from: number): Generator<{ node: File; from: number }> {
    for (const { node, durableFrom } of at.changes) {
      if (node === undefined || durableFrom === Number.POSITIVE_INFINITY) continue;
      const sure = Math.max(from, durableFrom);
      if (node.kind === "folder") yield* this.#named(node, sure);
      else yield { node, from: sure };
    }
  }

  #apply(call: SystemCall, open: Map<number, Opened>): void {
    const { name } = call;
    if (/^(open|creat)/.test(name)) {
      const node = this.#opened(call);
      if (node !== undefined)
        open.set(call.result, { node, position: 0, appends: call.flags.includes("O_APPEND") });
    } else if (name.startsWith("mkdir")) this.#setName(call, call.paths[0] ?? "", folder());
    else if (name.startsWith("rename")) {
      const [from = "", to = ""] = call.paths;
      const node = this.#at(from);
      if (node === undefined) throw new Error(`the recording renames ${from}, which it never made`);
      this.#setName(call, from, undefined);
      this.#setName(call, to, node);
    } else if (name.startsWith("unlink") || name === "rmdir")
      this.#setName(call, call.paths[0] ?? "", undefined);
    else if (/^(link|symlink)/.test(name)) throw new Error(`${name} of ${call.paths} cannot be replayed`);
    else if (name === "truncate") resize(this.#at(call.paths[0] ?? ""), call);
    else {
      const target = open.get(call.fd ?? -1);
      const found = target?.node ?? this.#at(call.target);
      if (found === undefined) throw new Error(`the recording uses ${call.target}, which it never opened`);
      if (/sync/.test(name)) found.syncs.push(call);
      else if (name === "ftruncate" || name === "fallocate") resize(found, call);
      else if (/write/.test(name)) write(found, call, target);
    }
  }

  #opened(call: SystemCall): Node | undefined {
    const path = call.paths[0] ?? "";
    let node = this.#at(path);
    if (node === undefined) {
      if (!call.flags.includes("O_CREAT") && call.name !== "creat")
        throw new Error(`the recording opens ${path}, which it never made`);
      node = { kind: "file", changes: [], syncs: [], size: 0 };
      this.#files.push(node);
      this.#setName(call, path, node);
    } else if (call.flags.includes("O_TRUNC")) resize(node, { ...call, offset: 0 });
    return node;
  }

  #at(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of this.#parts(path)) node = node?.kind === "folder" ? node.names.get(part) : undefined;
    return node;
  }

  #setName({ began, over }: SystemCall, path: string, node: Node | undefined): void {
    const name = this.#parts(path).at(-1);
    // The folder itself stands on firm ground.
    if (name === undefined) return;
    const parent = this.#at(dirname(path));
    if (parent?.kind !== "folder") throw new Error(`the recording has no folder for ${path}`);
    parent.changes.push({ began, over, durableFrom: Number.POSITIVE_INFINITY, name, node });
    if (node === undefined) parent.names.delete(name);
    else parent.names.set(name, node);
  }

  #parts(path: string): string[] {
    if (path !== this.path && !path.startsWith(`${this.path}/`))
      throw new Error(`${path} is not in ${this.path}`);
    return path.slice(this.path.length).split("/").filter(Boolean);
  }
}

const folder = (): Folder => ({ kind: "folder", changes: [], syncs: [], names: new Map() });

function write(node: Node, call: SystemCall, target: Opened | undefined): void {
  if (node.kind !== "file") throw new Error(`the recording writes to ${call.target}, which is a folder`);
  const { began, over, data } = call;
  let { offset } = call;
  if (offset === undefined) {
    if (target === undefined) throw new Error(`the recording writes to ${call.target} at an unknown place`);
    offset = target.appends ? node.size : target.position;
    target.position = offset + data.byteLength;
  }
  node.changes.push({ began, over, durableFrom: Number.POSITIVE_INFINITY, offset, data });
  node.size = Math.max(node.size, offset + data.byteLength);
}

function resize(node: Node | undefined, { began, over, offset: size, target, name }: SystemCall): void {
  if (node?.kind !== "file" || size === undefined) throw new Error(`${name} of ${target} cannot be replayed`);
  // The room that is set aside beyond the end reads as zeros: the same as a hole.
  if (name === "fallocate") return;
  node.changes.push({ began, over, durableFrom: Number.POSITIVE_INFINITY, size });
  node.size = size;
}

/** A sync covers what was over before it began, and holds once it has come back. */
function settle(node: Node, everySync: readonly SystemCall[]): void {
  const syncs = [...node.syncs, ...everySync].filter(({ result }) => result === 0);
  syncs.sort((a, b) => a.over - b.over);
  for (const change of node.changes)
    change.durableFrom = syncs.find(({ began }) => began > change.over)?.over ?? Number.POSITIVE_INFINITY;
  if (node.kind === "folder")
    for (const { node: inner } of node.changes) if (inner?.kind === "folder") settle(inner, everySync);
}

type Part = { readonly resize: number } | { readonly offset: number; readonly data: Uint8Array };

const whole = (change: Write | Resize): Part =>
  "data" in change ? { offset: change.offset, data: change.data } : { resize: change.size };

function contentAt(file: File, cut: number, random: Random, fate: Fate): Uint8Array {
  const parts: Part[] = [];
  const begun = file.changes.filter(({ began }) => began < cut);
  const unsure = begun.filter(({ durableFrom }) => durableFrom >= cut);
  const keepUntil = random.whole(0, unsure.length);
  let seen = 0;
  for (const change of begun) {
    if (change.durableFrom < cut) parts.push(whole(change));
    else if (fate === "kept" && change.over < cut) parts.push(whole(change));
    else if (fate === "first ones kept") {
      if (seen < keepUntil) parts.push(whole(change));
      else if (seen === keepUntil) parts.push(...torn(change, random));
    } else if (fate === "each by chance") {
      if (random.chance(0.4)) parts.push(whole(change));
      else if (random.chance(0.5)) parts.push(...torn(change, random));
    } else if (fate === "kept") parts.push(...torn(change, random));
    if (change.durableFrom >= cut) seen++;
  }
  return built(parts);
}

/** A part of one write: its first half, or some of its sectors or pages. A new size is there or not. */
function* torn(change: Write | Resize, random: Random): Generator<Part> {
  if (!("data" in change)) {
    if (random.chance(0.5)) yield whole(change);
    return;
  }
  const { offset, data } = change;
  if (random.chance(0.3)) return yield { offset, data: data.subarray(0, data.byteLength >> 1) };
  const unit = random.chance(0.5) ? SECTOR : PAGE;
  for (let at = offset; at < offset + data.byteLength; ) {
    const end = Math.min(offset + data.byteLength, (Math.floor(at / unit) + 1) * unit);
    if (random.chance(0.5)) yield { offset: at, data: data.subarray(at - offset, end - offset) };
    at = end;
  }
}

function built(parts: readonly Part[]): Uint8Array {
  let room = 0;
  for (const part of parts)
    room = Math.max(room, "resize" in part ? part.resize : part.offset + part.data.byteLength);
  const bytes = new Uint8Array(room);
  let size = 0;
  for (const part of parts) {
    if ("resize" in part) {
      if (part.resize < size) bytes.fill(0, part.resize, size);
      size = part.resize;
    } else {
      bytes.set(part.data, part.offset);
      size = Math.max(size, part.offset + part.data.byteLength);
    }
  }
  return bytes.subarray(0, size);
}

function namesAt(at: Folder, cut: number, random: Random, fate: Fate): Map<string, Node> {
  const names = new Map<string, Node>();
  const set = ({ name, node }: Naming) => (node === undefined ? names.delete(name) : names.set(name, node));
  const begun = at.changes.filter(({ began }) => began < cut);
  for (const change of begun) if (change.durableFrom < cut) set(change);
  const unsure = begun.filter(({ durableFrom }) => durableFrom >= cut);
  if (fate === "kept") for (const change of unsure) set(change);
  if (fate === "first ones kept")
    for (const change of unsure.slice(0, random.whole(0, unsure.length))) set(change);
  if (fate === "each by chance") for (const change of unsure) if (random.chance(0.5)) set(change);
  return names;
}
