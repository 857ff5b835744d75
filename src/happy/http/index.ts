// Every HTTP endpoint of the Happy protocol, in no particular order: the app sorts static paths before parameters.
import { accessKeyEndpoints } from "./access-keys.ts";
import { accountEndpoints } from "./account.ts";
import { artifactEndpoints } from "./artifacts.ts";
import { attachmentEndpoints } from "./attachments.ts";
import { authEndpoints } from "./auth.ts";
import { connectGithubEndpoints } from "./connect-github.ts";
import { connectVendorEndpoints } from "./connect-vendors.ts";
import { feedEndpoints } from "./feed.ts";
import { files } from "./files.ts";
import { friendEndpoints } from "./friends.ts";
import type { Endpoint } from "./kit/endpoint.ts";
import { kvEndpoints } from "./kv.ts";
import { machineEndpoints } from "./machines.ts";
import { messageEndpoints } from "./messages.ts";
import { pushEndpoints } from "./push.ts";
import { banner, health } from "./root.ts";
import { sessionEndpoints } from "./sessions.ts";
import { usageEndpoints } from "./usage.ts";
import { userEndpoints } from "./users.ts";
import { versionEndpoints } from "./version.ts";
import { voiceEndpoints } from "./voice.ts";

export const happyEndpoints: readonly Endpoint[] = [
  banner,
  health,
  ...authEndpoints,
  ...sessionEndpoints,
  ...messageEndpoints,
  ...machineEndpoints,
  ...accountEndpoints,
  ...usageEndpoints,
  ...accessKeyEndpoints,
  ...artifactEndpoints,
  ...kvEndpoints,
  ...userEndpoints,
  ...friendEndpoints,
  ...feedEndpoints,
  ...versionEndpoints,
  ...voiceEndpoints,
  ...connectGithubEndpoints,
  ...connectVendorEndpoints,
  ...pushEndpoints,
  ...attachmentEndpoints,
  files,
];
