// What the server that runs on the folder knows of its callers: addresses that many people share, and bounds that were reached.
import { z } from "zod";
import { type Finding, ok, skipped, warning } from "./finding.ts";

/** The answer of the admin channel's GET /limits. */
export const toldLimits = z.object({
  /** Networks, as they are counted. */
  sharedAddresses: z.array(z.string()),
  /** Refusals since the start, by the bound's name; only what is not zero. */
  refused: z.record(z.string(), z.number()),
});
export type ToldLimits = z.output<typeof toldLimits>;

const NOBODY = "No server runs on this folder.";
const SHOWN = 3;

/** Behind an address that brings several accounts stands a proxy that Roost was not told of. */
export function checkAddresses(told: ToldLimits | undefined): Finding {
  if (told === undefined) return skipped("addresses", NOBODY);
  const { sharedAddresses: shared } = told;
  if (shared.length === 0) return ok("addresses", "Each client is counted by its own address.");
  const names = shared.slice(0, SHOWN).join(", ");
  return warning(
    "addresses",
    `Several accounts come from one address (${names}): clients behind it cannot be told apart, and strangers have wider limits there.`,
    {
      fix: `If a reverse proxy has this address, name it: --trusted-proxies loopback,${shared.slice(0, SHOWN).join(",")}`,
    },
  );
}

export function checkBounds(told: ToldLimits | undefined): Finding {
  if (told === undefined) return skipped("bounds", NOBODY);
  const reached = Object.entries(told.refused).sort(([, a], [, b]) => b - a);
  if (reached.length === 0) return ok("bounds", "No bound has refused anything since the start.");
  const [[most = "", count = 0] = []] = reached;
  const others = reached.length === 1 ? "" : `, and ${reached.length - 1} other bounds something`;
  return warning("bounds", `The bound "${most}" has refused ${count} times since the start${others}.`, {
    fix: "The log has a line for each; docs/limits.md says what each bound is for and how to change it.",
  });
}
