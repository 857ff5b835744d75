// Whether a message has content that a person sees: a session without any is hidden from the list once it is inactive
// (hapi-http-sse A6, C4). Probed on the released hub, kind by kind.
import { z } from "zod";
import type { Json } from "./rows.ts";

const text = z.string().refine((given) => given.trim() !== "");
const some = z.array(z.unknown()).min(1);

/** One of these makes an array visible. */
const block = z.union([
  z.object({ type: z.literal("text"), text }),
  z.object({ type: z.enum(["thinking", "tool_use", "tool_result", "image"]) }),
]);
const blocks = z.array(z.unknown()).refine((given) => given.some((one) => block.safeParse(one).success));

const visible = z.union([
  z.object({
    role: z.literal("user"),
    content: z.union([
      text,
      blocks,
      z.object({ type: z.literal("text"), text }),
      z.object({ type: z.literal("text"), attachments: some }),
    ]),
  }),
  z.object({
    role: z.literal("agent"),
    content: z.object({
      type: z.literal("output"),
      data: z.object({
        type: z.enum(["assistant", "user"]),
        message: z.object({ content: z.union([text, blocks]) }),
      }),
    }),
  }),
  z.object({
    role: z.literal("agent"),
    content: z.object({
      type: z.literal("codex"),
      data: z.union([
        z.object({ type: z.enum(["message", "reasoning"]), message: text }),
        z.object({ type: z.literal("tool-call"), name: text }),
        z.object({ type: z.literal("tool-call-result") }),
        z.object({ type: z.literal("plan"), entries: some }),
      ]),
    }),
  }),
]);

export const isConversation = (content: Json): boolean => visible.safeParse(content).success;
