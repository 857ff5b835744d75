// Topics for programs that call methods (RPC contract, 27.2): read only, in answers of a bounded size.
import { z } from "zod";
import { NotThere, type OfferedMethod } from "../protocol/offered-method.ts";
import type { TopicsContext } from "./context.ts";
import { type Item, type ItemPage, LazyItems } from "./item.ts";
import type { Topic } from "./topic.ts";
import { websitesTopic } from "./websites.ts";

type Readable = Pick<TopicsContext, "store" | "documents">;

const MAX_PAGE_SIZE = 100;
/** Of one answer, but for an item that is larger alone. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

const name = z.string().min(1).max(64);
const list = z.object({
  topic: name.optional(),
  page: z.int().min(1).max(1_000_000_000).default(1),
  page_size: z.int().min(1).max(MAX_PAGE_SIZE).default(15),
});
const get = z.object({ topic: name, id: z.int() });

export function offeredMethods(context: Readable): readonly OfferedMethod[] {
  const common = { service: "TopicsService", permission: { resource: "topics", action: "read" } };
  return [
    {
      ...common,
      handler: "List",
      description: "the topics, or a page of the items of one",
      params: list,
      read: async (data) => {
        const { topic, page, page_size } = list.parse(data);
        if (topic === undefined)
          return { topics: topicsOf(context).map(({ name, itemKey }) => ({ name, item_key: itemKey })) };
        const found = await pageOf(context, topicOf(context, topic), page, page_size);
        return { topic, page, page_size, total: found.total, ...bounded(found) };
      },
    },
    {
      ...common,
      handler: "Get",
      description: "one item of a topic",
      params: get,
      read: async (data) => {
        const { topic, id } = get.parse(data);
        const of = topicOf(context, topic);
        const item = await (of === websitesTopic
          ? context.store.findWebsite(id)
          : context.store.findDocument(of, id));
        if (item === undefined) throw new NotThere("id", "no such item");
        return { topic, item };
      },
    },
  ];
}

const topicsOf = ({ documents }: Readable): readonly Topic[] => [
  websitesTopic,
  ...documents.map(({ topic }) => topic),
];

function topicOf(context: Readable, name: string): Topic {
  const found = topicsOf(context).find((topic) => topic.name === name);
  if (found === undefined) throw new NotThere("topic", "no such topic");
  return found;
}

const pageOf = ({ store }: Readable, topic: Topic, page: number, size: number): Promise<ItemPage> =>
  topic === websitesTopic ? store.pageWebsites({}, page, size) : store.pageDocuments(topic, page, size);

/** `truncated`: the rest of the page is there, and is read one by one. */
function bounded({ items }: ItemPage): { readonly items: readonly Item[]; readonly truncated: boolean } {
  if (!(items instanceof LazyItems)) return { items, truncated: false };
  const kept: Item[] = [];
  let bytes = 0;
  for (const item of items.items) {
    bytes += Buffer.byteLength(JSON.stringify(item));
    if (bytes > MAX_ANSWER_BYTES && kept.length > 0) return { items: kept, truncated: true };
    kept.push(item);
  }
  return { items: kept, truncated: false };
}
