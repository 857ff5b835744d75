// TaskService as methods of the registry (contract 1, 13.7): the same by every way in which methods are called.
import type { MethodDefinition } from "../registry/definition.ts";
import type { Tasks } from "./tasks.ts";

export function taskService(tasks: Tasks): readonly MethodDefinition[] {
  // What a caller may do with a task is looked at here: its tenant, and the permission of the target.
  const own = { service: "TaskService", source: "builtin", isOpen: true } as const;
  return [
    {
      ...own,
      handler: "Submit",
      description: "Stores a call that runs later, and answers with its task.",
      run: (data, context) => tasks.submit(data, context),
    },
    {
      ...own,
      handler: "Query",
      idempotent: true,
      description: "A task as it is now.",
      run: (data, context) => tasks.query(data, context),
    },
    {
      ...own,
      handler: "Cancel",
      idempotent: true,
      description: "Ends a task that is not over.",
      run: (data, context) => tasks.cancel(data, context),
    },
    {
      ...own,
      handler: "Subscribe",
      streamingOutput: true,
      description: "A task as it is now, and each change of it until it is over.",
      before: (data, context) => tasks.mayFollow(data, context),
      run: (data, context) => tasks.follow(data, context),
    },
  ];
}
