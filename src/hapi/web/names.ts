// Names of the web app's files, as its service worker and its files tell them: below the folder that they are written to, whatever a
// foreign server says.

/** No drive, no query, nothing that a shell, a URL or a file system reads in a way of its own. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are among what is refused
const PART = /^[^\x00-\x1f\x7f\\/:?#%*"'<>|`]{1,200}$/;
const MAX_LENGTH = 1_000;

/** Ours, in the folder of every copy. */
export const NOTE = "source.json";

/** Whether it names a file below the app's folder: relative, nothing hidden, no `..`, and none that is ours. */
export function isSafeName(name: string): boolean {
  if (name.length > MAX_LENGTH || name.toLowerCase() === NOTE) return false;
  return name.split("/").every((part) => PART.test(part) && !part.startsWith(".") && !/[. ]$/.test(part));
}

export const pathOfName = (name: string): string => `/${name.split("/").map(encodeURIComponent).join("/")}`;
