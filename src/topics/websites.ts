// The topic "websites": the same machinery as every topic, with the names that clients know (topics contract, section 13).
import { newestWebsites, websiteItem } from "./store/website-items.ts";
import { type Topic, topic } from "./topic.ts";

export const websitesTopic: Topic = topic({
  name: "websites",
  autoJoin: true,
  itemKey: "website_id",
  snapshot: newestWebsites,
  project: websiteItem,
  removed: (id) => ({ website_id: id, id }),
});
