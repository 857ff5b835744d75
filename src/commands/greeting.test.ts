// What a newcomer reads: every address, and the QR code where a phone can use it.
import { expect, test } from "bun:test";
import { encode } from "uqr";
import { type Config, parseConfig } from "../../test/support/config.ts";
import { qrCode } from "../cli/qr-code.ts";
import { happy } from "../happy/protocol.ts";
import { greeting as greetingOf } from "./greeting.ts";

const greeting = (
  facts: Omit<Parameters<typeof greetingOf<Config>>[0], "config"> & { config: Partial<Config> },
) => greetingOf<Config>({ ...facts, config: { ...parseConfig({}), ...facts.config } }, [happy]);

const URL = "http://192.168.1.20:3005";
const facts = {
  config: { dataDir: "/data", publicUrl: undefined, registration: "claim" as const },
  local: "http://localhost:3005",
  network: [URL],
};

test("a first start at a terminal shows the app's address as a QR code; a later one, or a log file, does not", async () => {
  const first = await greeting({ ...facts, firstRun: true, terminal: true });
  expect(first).toContain(qrCode(URL));
  for (const other of [
    { firstRun: false, terminal: true },
    { firstRun: true, terminal: false },
  ])
    expect(await greeting({ ...facts, ...other })).not.toMatch(/[▀▄█]/);
  const publicUrl = "https://roost.example.org";
  const known = await greeting({
    ...facts,
    config: { ...facts.config, publicUrl },
    firstRun: true,
    terminal: true,
  });
  expect(known).toContain(qrCode(publicUrl));
});

test("a first start says that the first who signs in owns the server, where that is so", async () => {
  const told = async (firstRun: boolean, registration: "claim" | "open") =>
    (
      await greeting({
        ...facts,
        config: { ...facts.config, happyRegistration: registration },
        firstRun,
        terminal: false,
      })
    ).includes("owns this server");
  expect(await told(true, "claim")).toBe(true);
  expect(await told(false, "claim")).toBe(false);
  expect(await told(true, "open")).toBe(false);
});

test("an address that no phone reaches is no QR code", async () => {
  expect(await greeting({ ...facts, network: [], firstRun: true, terminal: true })).not.toContain("█");
});

test("the code on the terminal has the modules of the encoded address, and white around them", () => {
  const rows = qrCode(URL, "")
    .split("\n")
    .map((line) => line.slice("\x1b[30;107m".length, -"\x1b[0m".length))
    .flatMap((line) => [
      [...line].map((cell) => cell === "█" || cell === "▀"),
      [...line].map((cell) => cell === "█" || cell === "▄"),
    ]);
  const { data } = encode(URL, { ecc: "M", border: 2 });
  expect(rows.slice(0, data.length)).toEqual(data);
  for (const edge of [
    rows[0],
    rows[1],
    rows.at(-1),
    rows.map((row) => row[0]),
    rows.map((row) => row.at(-1)),
  ])
    expect(edge?.some((dark) => dark)).toBe(false);
});
