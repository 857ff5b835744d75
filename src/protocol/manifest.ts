// What a protocol says of itself. A manifest is cheap to import: what it names is loaded when it is asked for, and a protocol that is
// switched off costs nothing. `src/protocols.ts` is the list of them; everything else asks the list and names no protocol.
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Command } from "../cli/command.ts";
import type { OriginalFile, Settle } from "../config/catalogue.ts";
import type { Settings } from "../config/setting.ts";
import type { Finding } from "../doctor/finding.ts";
import type { OutsideLook } from "../doctor/outside.ts";
import type { BoundCatalogue } from "../limits/bounds.ts";
import type { BlobOwners } from "../retention/blob-owners.ts";
import type { Retention } from "../retention/retention.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Database } from "../storage/database.ts";
import type { PublicFolder } from "../storage/private-folder.ts";
import type { DatabaseSpec } from "./database-spec.ts";
import type { House, OpenProtocol } from "./house.ts";
import type { HouseConfig } from "./house-settings.ts";

/** `C`: the configuration as the protocol knows it. */
export interface ProtocolManifest<C extends HouseConfig = HouseConfig> {
  /** Also the area of its log lines. */
  readonly name: string;
  readonly settings: Settings;
  /** Variables of the original server for settings that all protocols share, by the setting's name. */
  readonly variables?: Readonly<Record<string, readonly string[]>>;
  /** Variables of the original server that mean nothing here, with what is done instead. */
  readonly unusedVariables?: Readonly<Record<string, string>>;
  /** Of an original whose configuration file may be used as it is. */
  readonly originalFile?: OriginalFile;
  readonly settle?: Settle;
  /** What it bounds beside what all protocols have in common. */
  readonly bounds?: BoundCatalogue;
  isOn(config: C): boolean;
  /** Asked before anything is opened. @throws Error with a sentence for a configuration that would do harm. */
  refuse?(config: C): void;
  /** Whether somebody asked for it in words. Where nobody did, the server goes on without it when it cannot have its place. */
  isAskedFor?(config: C): boolean;
  /** Looks around before anything is opened. @throws Error with a sentence when something else has its place, such as the original. */
  look?(config: C): Promise<void>;
  /** Folders that everybody may read: none of them may hold what is private. */
  publicFolders?(config: C): readonly PublicFolder[];
  /** Folder of the web app that it has at the root of the server's port, where it has one: two there would spoil each other in browsers. */
  webAppAtRoot?(config: C): Promise<string | undefined>;
  readonly databases: readonly DatabaseSpec[];
  /** By the word after `roost`; each is loaded when it is asked for. */
  readonly commands?: Readonly<Record<string, () => Promise<Command>>>;
  readonly doctor?: DoctorPart<C>;
  /** What a newcomer reads after the start, as paragraphs; asked only while the protocol is on. */
  greeting?(facts: GreetingFacts<C>): Promise<readonly string[]>;
  /** What can be done with its database alone, while no server runs or beside one. */
  offline?(parts: OfflineParts<C>): Promise<Offline>;
  /** Begins nothing yet: the door is not open. @throws Error with a sentence for the person. */
  open(house: House<C>): Promise<OpenProtocol>;
}

export interface DoctorPart<C> {
  /** Looks at what it keeps in the data folder; changes nothing. */
  machine?(config: C): AsyncIterable<Finding>;
  /** Looks at a server from outside, as its clients do. */
  readonly outside?: OutsideLook;
  /** Of its findings, as docs/what-can-go-wrong.md explains them. */
  readonly names: readonly string[];
  /** The shortest age at which it deletes something by itself, in ms; infinite where nothing goes by its age. */
  shortestAgeMs?(config: C): Promise<number>;
  /** A service that it speaks to anyway and that tells the time. */
  clockUrl?(config: C): string;
}

export interface GreetingFacts<C> {
  readonly config: C;
  /** Of the protocol that is asked: what it keeps was made at this start. */
  readonly firstRun: boolean;
  /** A person watches. */
  readonly terminal: boolean;
  readonly local: string;
  /** Addresses of this machine in its networks. */
  readonly network: readonly string[];
}

export interface OfflineParts<C> {
  readonly config: C;
  /** By the name of the spec: those that are in the folder. */
  readonly databases: ReadonlyMap<string, Database>;
  readonly blobs: BlobStore;
  readonly log: Logger;
}

export interface Offline {
  /** Routes of the admin channel, as a running server would answer them. */
  readonly admin?: Hono;
  readonly retention?: Retention;
  readonly blobOwners?: BlobOwners;
  /** What it began meanwhile has ended. */
  close?(): Promise<void>;
}
