// The topic "websites": the same machinery as every topic, with the names that clients know (topics contract, section 13).
import { websiteItems } from "./store/website-items.ts";
import { type Topic, topic } from "./topic.ts";

export const websitesTopic: Topic = topic({
  name: "websites",
  autoJoin: true,
  itemKey: "website_id",
  ...websiteItems,
  removed: (id) => ({ website_id: id, id }),
});
