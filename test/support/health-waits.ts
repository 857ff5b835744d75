// How long a client of the server waits for `/health` while something else goes on: asked from a process of its own, so that a busy
// test does not count as a busy server.

const PROGRAM = `
  const [url] = process.argv.slice(1);
  const times = [];
  let over = false;
  process.stdin.once("data", () => { over = true; });
  while (!over) {
    const began = performance.now();
    await (await fetch(url + "/health")).text();
    times.push(performance.now() - began);
    await Bun.sleep(10);
  }
  console.log(JSON.stringify(times));
  process.exit(0);
`;

/** Milliseconds, shortest first. */
export async function healthWaits(url: string, meanwhile: () => Promise<unknown>): Promise<number[]> {
  const child = Bun.spawn([process.execPath, "-e", PROGRAM, url], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { PATH: process.env.PATH ?? "" },
  });
  try {
    await meanwhile();
    child.stdin.write("over\n");
    await child.stdin.flush();
    const times = JSON.parse(await child.stdout.text()) as number[];
    return times.sort((one, other) => one - other);
  } finally {
    child.kill();
  }
}

export const percentile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
