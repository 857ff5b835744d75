// A QR code for a terminal: two rows of modules a line, black on white whatever the terminal's own colors are, with the quiet zone
// that scanners need.
import { encode } from "uqr";

const BLACK_ON_WHITE = "\x1b[30;107m";
const PLAIN = "\x1b[0m";
const QUIET_MODULES = 2;

export function qrCode(text: string, indent = "      "): string {
  const { data } = encode(text, { ecc: "M", border: QUIET_MODULES });
  const lines: string[] = [];
  for (let row = 0; row < data.length; row += 2) {
    const upper = data[row] ?? [];
    const lower = data[row + 1] ?? [];
    const cells = upper.map((dark, column) =>
      dark ? (lower[column] ? "█" : "▀") : lower[column] ? "▄" : " ",
    );
    lines.push(`${indent}${BLACK_ON_WHITE}${cells.join("")}${PLAIN}`);
  }
  return lines.join("\n");
}
