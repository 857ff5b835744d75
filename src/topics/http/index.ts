// Every endpoint of the topics protocol.
import type { DocumentTopic } from "../declared.ts";
import { documentEndpoints } from "./documents.ts";
import type { Endpoint } from "./kit/endpoint.ts";
import { sessionEndpoints } from "./session.ts";
import { websiteEndpoints } from "./websites.ts";

export const topicEndpoints = (documents: readonly DocumentTopic[]): Endpoint[] => [
  ...sessionEndpoints,
  ...websiteEndpoints,
  ...documents.flatMap(documentEndpoints),
];
