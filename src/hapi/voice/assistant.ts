// Who a person talks to: what the assistant is told, and the two tools by which the web app lets it act. The names of the tools and of
// their parameters are what the web app answers to (hapi-probed, voice); the words are ours.

const MESSAGE = {
  type: "object",
  required: ["message"],
  properties: {
    message: {
      type: "string",
      description: "What the user wants from the coding agent, in full and in their words.",
    },
  },
};
const DECISION = {
  type: "object",
  required: ["decision"],
  properties: { decision: { type: "string", description: "allow or deny" } },
};

export interface AssistantTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: object;
  /** How long the web app may take for it. */
  readonly timeoutSeconds: number;
}

export const TOOLS: readonly AssistantTool[] = [
  {
    name: "messageCodingAgent",
    description:
      "Hands what the user asks for to the coding agent of the session that is open, and tells what it answered.",
    parameters: MESSAGE,
    timeoutSeconds: 120,
  },
  {
    name: "processPermissionRequest",
    description: "Answers the coding agent's question for permission as the user has decided.",
    parameters: DECISION,
    timeoutSeconds: 30,
  },
];

export const GREETING = "Hi, what shall the agent do?";

const INSTRUCTIONS = `You are the voice between a person and a coding agent that works on the person's own machine, such as Claude Code or Codex. The person hears you and cannot read you.

How you work:
- Whatever is about code, files, commands, tests, or the project is the coding agent's work. Call messageCodingAgent with all that the person said about it, and say in one short sentence that you did. Never do or invent such work yourself.
- Only small talk, and questions about what the agent has said already, you answer yourself.
- You are sent updates of the session: messages of the agent, tools that it runs, its questions for permission, and that it is ready. Use them to answer; do not read them out. When the agent is ready or has failed, say so in a sentence.
- When the agent asks for permission, say what it wants to do and wait. Call processPermissionRequest with "allow" or "deny" only after the person has clearly decided. When in doubt, ask again.

How you speak:
- In one or two sentences, plainly. No lists, no code, no paths letter by letter, no links; say what a piece of code is for.
- If you did not understand, ask. When the person is silent, be silent.`;

/** A language as web pages write it (BCP 47), of two or three letters and further parts. */
export const LANGUAGE = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i;

/** @param language undefined: the person's own decides */
export function instructions(language: string | undefined): string {
  if (language === undefined) return INSTRUCTIONS;
  return `${INSTRUCTIONS}\n- Speak the language with the code "${language}".`;
}
