// What the topics protocol asks of its database. Each operation is atomic, has a name from the domain and answers with a promise; no
// statement and no handle leaves this folder. So another database is another implementation of `TopicsStore`, under the same tests.
//
// An operation runs synchronously within the turn's transaction, so nothing interleaves; what it announces runs in commit order, before
// anybody is told that it is done (storage/writer.ts). A read shows what is committed when it is asked for, and is told when that is durable
// (storage/durable-store.ts).
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import { durableStore } from "../../storage/durable-store.ts";
import type { Item, ItemPage } from "../item.ts";
import type { Retention, Topic } from "../topic.ts";
import { websitesTopic } from "../websites.ts";
import { createDocument, documentItem, pageDocuments, removeDocument, updateDocument } from "./documents.ts";
import {
  type Announce,
  EventLog,
  type EventType,
  eventsAfter,
  type TopicEvent,
  topicState,
} from "./events.ts";
import { prepareStore } from "./opening.ts";
import { type Removal, removeItems } from "./removal.ts";
import { type Answer, readAnswer } from "./replay.ts";
import { countOldEvents, newestEventAt, type OldEvents, pruneEvents } from "./retention.ts";
import { addUser, changeUser, findUser, hasUsers, isActiveUser, listUsers, type User } from "./users.ts";
import { pageWebsites, type WebsiteFilter, websiteItem } from "./website-items.ts";
import {
  createWebsite,
  type NewWebsite,
  removeWebsite,
  requireLineGroup,
  updateWebsite,
  type WebsiteChange,
  type WebsiteHttps,
  websiteHttpsRow,
} from "./websites.ts";

export interface TopicsStore {
  findUser(username: string): Promise<User | undefined>;
  /** True when the user exists and may log in. */
  isActiveUser(id: number): Promise<boolean>;
  listUsers(): Promise<User[]>;
  hasUsers(): Promise<boolean>;
  /** False when the name is taken. */
  addUser(user: Pick<User, "username" | "passwordHash" | "role">): Promise<boolean>;
  /** False when there is no such user. */
  changeUser(username: string, change: Partial<Pick<User, "passwordHash" | "status">>): Promise<boolean>;

  /** Newest id first. */
  pageDocuments(topic: Topic, page: number, pageSize: number): Promise<ItemPage>;
  findDocument(topic: Topic, id: number): Promise<Item | undefined>;
  /** `document` is JSON text that the topic's schema accepted. */
  createDocument(topic: Topic, document: string): Promise<Item>;
  /** Replaces the document. Rejects with Problem 3001. */
  updateDocument(topic: Topic, id: number, document: string): Promise<Item>;
  /** Rejects with Problem 3001 when nothing was there. */
  removeDocuments(topic: Topic, ids: readonly number[]): Promise<Removal>;

  /** Newest id first. */
  pageWebsites(filter: WebsiteFilter, page: number, pageSize: number): Promise<ItemPage>;
  findWebsite(id: number): Promise<Item | undefined>;
  /** Undefined when no settings were ever given. Rejects with Problem 3001 for an unknown website. */
  findWebsiteHttps(id: number): Promise<WebsiteHttps | undefined>;
  /** Rejects with Problem 3001. */
  requireLineGroup(id: number): Promise<void>;
  /** Rejects with Problem 3001 for an unknown line group, 3002 for a domain of another website. */
  createWebsite(input: NewWebsite): Promise<Item>;
  /** As `createWebsite`; 3001 also for an unknown website. */
  updateWebsite(id: number, input: WebsiteChange): Promise<Item>;
  /** Rejects with Problem 3001 when nothing was there. */
  removeWebsites(ids: readonly number[]): Promise<Removal>;

  /** An event of a topic whose items are kept elsewhere: an id for what the topic describes, or the payload itself. */
  publish(topic: Topic, type: EventType, what: number | Item): Promise<Item | undefined>;
  /** What a subscriber is told that names the last event it knows: read at one instant. */
  readAnswer(topic: Topic, last: number | undefined): Promise<Answer>;
  /** Events of one topic with a greater id, in id order: at most `limit`, and only so many as fit into a page, but at least one. */
  eventsAfter(topic: Topic, id: number, limit: number): Promise<TopicEvent[]>;
  /** Of the newest event of the topic, also when it was deleted since; 0 when there never was one. */
  lastEventId(topic: Topic): Promise<number>;

  /** To be called before the first request: what must be true then. */
  prepare(topics: Iterable<Topic>, log: Logger): Promise<void>;
  /** The newest time of an event that is not later than `now`. */
  newestEventAt(now: number): Promise<number | undefined>;
  countOldEvents(rule: Retention, topics: Iterable<Topic>, now?: number): Promise<OldEvents[]>;
  /** Deletes them in small transactions, while `goOn` says so. Gives their number. */
  pruneEvents(rule: Retention, topics: Iterable<Topic>, now?: number, goOn?: () => boolean): Promise<number>;
}

export interface Announcing {
  /** Hears of every event once it is durable, in commit order. */
  readonly announce: Announce;
  /** False: changes are counted but leave no events. Only for a server that speaks no realtime. */
  readonly logEvents: boolean;
}

/** For a program that only looks after what is stored. */
const QUIET: Announcing = { announce: () => {}, logEvents: true };

export function topicsStore(database: Database, { announce, logEvents } = QUIET): TopicsStore {
  const { reads } = database;
  const log = new EventLog(database, announce, logEvents);
  // Every operation is `async`, so that none throws: what is wrong rejects.
  const operations: TopicsStore = {
    findUser: async (username) => findUser(reads, username),
    isActiveUser: async (id) => isActiveUser(reads, id),
    listUsers: async () => listUsers(reads),
    hasUsers: async () => hasUsers(reads),
    addUser: async (user) => addUser(database, user),
    changeUser: async (username, change) => changeUser(database, username, change),

    pageDocuments: async ({ name }, page, pageSize) => pageDocuments(reads, name, page, pageSize),
    findDocument: async ({ name }, id) => documentItem(reads, name, id),
    createDocument: async (topic, document) => createDocument(log, topic, document),
    updateDocument: async (topic, id, document) => updateDocument(log, topic, id, document),
    removeDocuments: async (topic, ids) =>
      removeItems(log, topic, ids, (db, id) => removeDocument(db, topic.name, id)),

    pageWebsites: async (filter, page, pageSize) => pageWebsites(reads, filter, page, pageSize),
    findWebsite: async (id) => websiteItem(reads, id),
    findWebsiteHttps: async (id) => websiteHttpsRow(reads, id),
    requireLineGroup: async (id) => requireLineGroup(reads, id),
    createWebsite: async (input) => createWebsite(log, input),
    updateWebsite: async (id, input) => updateWebsite(log, id, input),
    removeWebsites: async (ids) => removeItems(log, websitesTopic, ids, removeWebsite),

    publish: async (topic, type, what) => log.change(topic, (_db, publish) => publish(type, what)),
    readAnswer: async (topic, last) => readAnswer(reads, topic, last),
    eventsAfter: async ({ name }, id, limit) => eventsAfter(reads, name, id, limit),
    lastEventId: async ({ name }) => topicState(reads, name).lastEventId,

    prepare: async (topics, logger) => prepareStore(database, topics, logger),
    newestEventAt: async (now) => newestEventAt(reads, now),
    countOldEvents: async (rule, topics, now) => countOldEvents(reads, rule, topics, now),
    pruneEvents: async (rule, topics, now, goOn) => pruneEvents(database, rule, topics, now, goOn),
  };
  return durableStore(database, operations);
}
