// Log lines for people at a terminal: time, level, area, message, then the facts. Written synchronously like the JSON they are made
// of; worker transports break in a compiled executable.

const LEVELS: Readonly<Record<number, string>> = {
  10: "\x1b[90mtrace\x1b[0m",
  20: "\x1b[90mdebug\x1b[0m",
  30: "\x1b[32minfo \x1b[0m",
  40: "\x1b[33mwarn \x1b[0m",
  50: "\x1b[31merror\x1b[0m",
  60: "\x1b[31mfatal\x1b[0m",
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: what steers a terminal must not come from a log line
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** @param line one line of JSON as pino writes it; anything else is passed on. */
export function logText(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { level, time, area, msg, err, ...facts } = entry;
  const clock = typeof time === "string" ? time.slice(11, 23) : "";
  const pairs = Object.entries(facts).map(([name, value]) => ` \x1b[90m${name}=\x1b[0m${shown(value)}`);
  const where = area === undefined ? "" : ` \x1b[36m${shown(area)}\x1b[0m`;
  const text = `\x1b[90m${clock}\x1b[0m ${LEVELS[Number(level)] ?? String(level)}${where} ${shown(msg ?? "")}${pairs.join("")}\n`;
  return err === undefined ? text : text + problem(err);
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.replace(STEERING, "");
}

function problem(err: unknown): string {
  const stack = typeof err === "object" && err !== null && "stack" in err ? err.stack : err;
  const text = typeof stack === "string" ? stack : JSON.stringify(stack);
  return `    ${text.replace(STEERING, "").replaceAll("\n", "\n    ")}\n`;
}
