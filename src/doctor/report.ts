// Findings as a person reads them: the sentence, and under a failure the line to change. A look from outside quotes a foreign server:
// what would steer the terminal is shown plainly.
import { plain } from "../cli/table.ts";
import type { Finding, Result } from "./finding.ts";
import { PROXIES } from "./finding.ts";

const MARKS: Readonly<Record<Result, { word: string; color: number }>> = {
  ok: { word: "ok", color: 32 },
  warning: { word: "warning", color: 33 },
  failure: { word: "FAILURE", color: 31 },
  skipped: { word: "skipped", color: 90 },
};

export function report({ check, result, says, fix, proxy }: Finding, colored: boolean): string {
  const { word, color } = MARKS[result];
  const mark = colored ? `\x1b[${color}m${word.padEnd(8)}\x1b[0m` : word.padEnd(8);
  const lines = [`  ${mark} ${check.padEnd(11)} ${plain(says)}`];
  const indent = " ".repeat(23);
  if (fix !== undefined) lines.push(`${indent}${plain(fix)}`);
  if (proxy !== undefined)
    for (const name of PROXIES) lines.push(`${indent}${`${name}:`.padEnd(13)}${proxy[name]}`);
  return `${lines.join("\n")}\n`;
}

export function summary(findings: readonly Finding[]): string {
  const count = (result: Result) => findings.filter((finding) => finding.result === result).length;
  const failures = count("failure");
  const warnings = count("warning");
  if (failures + warnings === 0) return "Nothing is wrong.";
  const parts = [
    ...(failures > 0 ? [`${failures} failure${failures > 1 ? "s" : ""}`] : []),
    ...(warnings > 0 ? [`${warnings} warning${warnings > 1 ? "s" : ""}`] : []),
  ];
  return `${parts.join(" and ")}. Each is explained in docs/what-can-go-wrong.md.`;
}
