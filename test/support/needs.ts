// What a test needs beyond Bun. Where it is not there the test is skipped, and one line at the end of the run names it. Under CI=true
// a missing program fails the run, because `.ci/run` installs it; what a machine forbids is a named skip everywhere.
import { describe, test } from "bun:test";

/** Programs that tests run, and the Debian package that brings each. `.ci/run` installs all of them (needs.test.ts compares). */
export const PACKAGES = {
  chromium: "chromium",
  curl: "curl",
  etcd: "etcd-server",
  faketime: "faketime",
  nginx: "nginx-light",
  nsenter: "util-linux",
  openssl: "openssl",
  pgrep: "procps",
  "redis-server": "redis-server",
  script: "bsdutils",
  setpriv: "util-linux",
  sqlite3: "sqlite3",
  strace: "strace",
  systemctl: "systemd",
  "systemd-analyze": "systemd",
  unshare: "util-linux",
} as const;
export type Program = keyof typeof PACKAGES;

type Kind = "missing" | "forbidden" | "full" | "client";

export interface Need {
  readonly met: boolean;
  /** The ones of bun:test where the need is met; else ones that skip and are named in the summary. */
  readonly test: typeof test;
  readonly describe: typeof describe;
  /** The same need, for a test that has it only in some of its cases. */
  when(applies: boolean): Need;
}

interface Unmet {
  readonly kind: Kind;
  readonly what: string;
}

/** What was skipped or done in a lesser way, by what it was for want of. Filled while test files are loaded. */
const skipped = new Map<string, { unmet: Unmet; names: Set<string> }>();
/** Long proofs that ran small. */
const shortened = { any: false };

/** Of what is there. */
const met: Need = { met: true, test, describe, when: () => met };

export const needs = {
  /** A program on PATH, or as `find` finds it. */
  program(name: Program, find: () => unknown = () => Bun.which(name)): Need {
    return need({ kind: "missing", what: `${name} is missing (Debian: ${PACKAGES[name]})` }, found(find()));
  },
  /** What `bun run build` makes. */
  executable(path: string | undefined): Need {
    return need({ kind: "missing", what: "no executable was built (bun run build)" }, found(path));
  },
  /** A released program that only `bun run test:hapi` installs. */
  installed(what: string, path: string | undefined): Need {
    return need({ kind: "client", what: `${what} is not installed (bun run test:hapi)` }, found(path));
  },
  /** What an operating system or a container may forbid: say it as a noun, "tracing of processes". */
  machine(what: string, probe: () => boolean): Need {
    return need({ kind: "forbidden", what: `no ${what} here` }, probe());
  },
  /** Takes minutes and has no smaller form. */
  full(): Need {
    return need({ kind: "full", what: "runs with ROOST_TEST_FULL=1" }, process.env.ROOST_TEST_FULL === "1");
  },
  /** All of them; the first that is not met is named. */
  all(...list: readonly Need[]): Need {
    return list.find(({ met }) => !met) ?? list[0] ?? met;
  },
};

export const onLinux = needs.machine("Linux", () => process.platform === "linux");
/** Signals, pipes and file rights as POSIX has them. */
export const onUnix = needs.machine("Unix", () => process.platform !== "win32");

/** For a test that goes on in a lesser way where the machine forbids the better one. */
export function noteLesser(what: string, consequence: string): void {
  note({ kind: "forbidden", what: `no ${what} here` }, consequence);
}

/** For `rounds` in full.ts. */
export function noteShortened(): void {
  shortened.any = true;
}

/** The one line; undefined where everything ran. */
export function summary(): string | undefined {
  const parts = [...skipped.values()].map(
    ({ unmet, names }) => `${unmet.what}: ${[...names].map((name) => `"${name}"`).join(", ")}`,
  );
  if (shortened.any) parts.push("long proofs ran small: in full with ROOST_TEST_FULL=1");
  return parts.length === 0 ? undefined : `SKIPPED OR SMALLER: ${parts.join("; ")}.`;
}

/** What `.ci/run` brings and is not there. */
export function missing(): string[] {
  return [...skipped.values()].flatMap(({ unmet }) => (unmet.kind === "missing" ? [unmet.what] : []));
}

const found = (value: unknown) => value !== null && value !== undefined && value !== false && value !== "";

function need(unmet: Unmet, isMet: boolean): Need {
  if (isMet) return met;
  const self: Need = {
    met: false,
    test: skipping(unmet, test),
    describe: skipping(unmet, describe),
    when: (applies) => (applies ? self : met),
  };
  return self;
}

/** Stands for `original`, in all the forms that our tests use: called, `.each`, `.concurrent`. */
function skipping<Original extends typeof test | typeof describe>(
  unmet: Unmet,
  original: Original,
): Original {
  // biome-ignore lint/suspicious/noExplicitAny: passed on as they came
  type Rest = any[];
  const skip = original.skip as unknown as ((...rest: Rest) => void) & {
    each(cases: unknown): (...rest: Rest) => void;
  };
  const each =
    (cases: unknown) =>
    (...rest: Rest) => {
      note(unmet, rest[0]);
      skip.each(cases)(...rest);
    };
  const self: Original = new Proxy(original, {
    apply: (_target, _self, rest: Rest) => {
      note(unmet, rest[0]);
      skip(...rest);
    },
    get: (_target, name) => {
      if (name === "each") return each;
      if (name === "concurrent") return self;
      throw new Error(`a test that may be skipped has no .${String(name)}: teach test/support/needs.ts`);
    },
  });
  return self;
}

function note(unmet: Unmet, name: string): void {
  const known = skipped.get(unmet.what) ?? { unmet, names: new Set<string>() };
  known.names.add(name);
  skipped.set(unmet.what, known);
}
