// What the owner is told by ServerChan (hapi-probed, ServerChan): the words of a browser's notification, with the address of the session
// where the server has one. It is Markdown there, and names are whatever a person or an agent calls something: nothing of them is markup.
import { MAX_SERVER_CHAN_TITLE, type ServerChanMessage } from "../../push/channels/server-chan.ts";
import { cut, type Notice, wordsOf } from "./notice.ts";

/** Undefined where the owner is not told: of a task that went well. */
export function serverChanMessage(
  notice: Notice,
  publicUrl: string | undefined,
): ServerChanMessage | undefined {
  if (notice.kind === "task" && !notice.task.isFailed) return undefined;
  const { title, body, data } = wordsOf(notice);
  const said = plain(body).replaceAll("\n", "\n\n");
  const text = publicUrl === undefined ? said : `${said}\n\n${publicUrl}${data.url}`;
  return { title: cut(`HAPI ${title}`, MAX_SERVER_CHAN_TITLE), text };
}

const plain = (text: string): string => text.replace(/[\\`*_[\]<>!#|~]/g, "\\$&");
