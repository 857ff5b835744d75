// The clients of a scenario, a process of their own beside the server that is measured: told by one JSON argument what to do, they print
// one line of JSON for each thing that whoever measures waits for.

export interface ClientProcess {
  /** The next line. @throws when they end without one. */
  next(): Promise<unknown>;
  end(): Promise<void>;
}

/** `script`: what they run, as a path. */
export function clientProcess(script: string, task: unknown): ClientProcess {
  const child = Bun.spawn([process.execPath, script, JSON.stringify(task)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = linesOf(child.stdout);
  return {
    next: async () => {
      const { value } = await lines.next();
      if (value === undefined) throw new Error("the clients ended early");
      return JSON.parse(value);
    },
    end: async () => {
      child.stdin.end();
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
