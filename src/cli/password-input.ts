// A password from the person: typed without being shown, or the first line of standard input when that is no terminal. Never from
// the command line, where every user of the machine can read it.
import { stdin, stdout } from "node:process";

/** Longest password that makes sense; bounds what is read. */
const MAX_LENGTH = 1024;

/** @throws Error when it is empty, too long, cancelled, or typed differently the second time. */
export async function readPassword(prompt: string): Promise<string> {
  const password = stdin.isTTY ? await typedTwice(prompt) : firstLine(await Bun.stdin.text());
  if (password === "") throw new Error("The password is empty; nothing was changed.");
  if (password.length > MAX_LENGTH) throw new Error(`A password has at most ${MAX_LENGTH} characters.`);
  return password;
}

const firstLine = (text: string): string => text.split(/\r?\n/, 1)[0] ?? "";

async function typedTwice(prompt: string): Promise<string> {
  const first = await typed(prompt);
  if ((await typed("Once more: ")) !== first) throw new Error("The two differ; nothing was changed.");
  return first;
}

function typed(prompt: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const done = (settle: () => void) => {
    stdin.off("data", listen);
    stdin.setRawMode(false);
    stdin.pause();
    stdout.write("\n");
    settle();
  };
  const listen = (chunk: Buffer | string) => {
    for (const character of chunk.toString()) {
      if (character === "\r" || character === "\n") return done(() => resolve(text));
      if (character === "\u0003" || character === "\u0004") {
        return done(() => reject(new Error("Cancelled; nothing was changed.")));
      }
      if (character === "\u007f" || character === "\b") text = [...text].slice(0, -1).join("");
      else text += character;
    }
  };
  // Raw before the prompt: whoever types at once must not see it either.
  stdin.setRawMode(true);
  stdin.on("data", listen);
  stdin.resume();
  stdout.write(prompt);
  return promise;
}
