// The kinds of value that settings have. Each takes what a flag or variable can say (text) and what YAML can (numbers, booleans,
// lists, structures), and says in words of a person what it wants instead.
import { z } from "zod";

export const text = () => z.string("it must be text").min(1, "it must not be empty");

/** "true/1/yes/on" and their opposites, as people write them in compose files. */
export const flag = () =>
  z.union(
    [
      z.boolean(),
      z
        .string()
        .toLowerCase()
        .pipe(z.enum(["true", "1", "yes", "on", "false", "0", "no", "off", ""]))
        .transform((value) => ["true", "1", "yes", "on"].includes(value)),
    ],
    "it must be true or false",
  );

export const whole = (minimum: number, maximum: number) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], wholeBetween(minimum, maximum))
    .refine(
      (value) => Number.isInteger(value) && value >= minimum && value <= maximum,
      wholeBetween(minimum, maximum),
    );
const wholeBetween = (minimum: number, maximum: number) =>
  `it must be a whole number from ${minimum} to ${maximum}`;

export const port = () => whole(0, 65_535);

export const url = () => z.url({ protocol: /^https?$/, error: "it must be an http or https address" });

export const webSocketUrl = () => z.url({ protocol: /^wss?$/, error: "it must be a ws or wss address" });

export const urlPath = () => z.string().regex(/^\/[\w./-]*$/, "it must be a path such as /ws");

/** A structured value: JSON text in a flag or variable, the structure itself in YAML. */
export const structure = <T extends z.ZodType>(schema: T) =>
  z
    .unknown()
    .transform((value, context) => {
      if (typeof value !== "string") return value;
      try {
        return JSON.parse(value) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: "it is not JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);

/** Comma-separated in a flag or variable. */
export const list = () =>
  z.union(
    [z.array(text()), z.string().transform((value) => value.split(",").map((entry) => entry.trim()))],
    "it must be a list",
  );

/** `:8080` or `127.0.0.1:8080` or `[::1]:8080`; without a host, all interfaces. */
export const listenAddress = () =>
  z.string().transform((value, context) => {
    const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(value) ?? [];
    const number = port().safeParse(digits);
    if (digits !== undefined && number.success)
      return { host: bracketed ?? (plain || "0.0.0.0"), port: number.data };
    context.addIssue({ code: "custom", message: "it must be host:port or :port" });
    return z.NEVER;
  });

const NAMED_RANGES: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
  none: [],
};
const range = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** Addresses and ranges, and names for the ranges that are meant most often. */
export const addressRanges = () =>
  list().transform((entries, context) =>
    entries.flatMap((entry) => {
      const ranges = NAMED_RANGES[entry] ?? [entry];
      if (ranges.every((one) => range.safeParse(one).success)) return ranges;
      context.addIssue({
        code: "custom",
        message: `"${entry}" is no address, no range such as 10.0.0.0/8, and none of ${Object.keys(NAMED_RANGES).join(", ")}`,
      });
      return [];
    }),
  );

const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
/** By the area of the log. */
export type LogLevels = Readonly<Partial<Record<string, (typeof LEVELS)[number]>>>;

/** `server=debug,storage=warn`, or the same as a structure. Which areas there are is not known here. */
export const logLevels = () =>
  z
    .union([
      z.record(z.string(), z.unknown()),
      z.string().transform((value) =>
        Object.fromEntries(
          value
            .split(",")
            .filter((entry) => entry.trim() !== "")
            .map((entry) => entry.split("=").map((part) => part.trim()) as [string, string | undefined]),
        ),
      ),
    ])
    .transform((value, context): LogLevels => {
      const levels: Record<string, (typeof LEVELS)[number]> = {};
      for (const [area, level] of Object.entries(value)) {
        if (!LEVELS.some((known) => known === level)) {
          context.addIssue({
            code: "custom",
            message: `the level of ${area} must be one of ${LEVELS.join(", ")}`,
          });
          return z.NEVER;
        }
        levels[area] = level as (typeof LEVELS)[number];
      }
      return levels;
    });
