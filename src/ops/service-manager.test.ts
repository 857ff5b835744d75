// Holds the keep-alive to what a restart mends: it stops for that and for nothing else, and goes on when it was a mistake.
import { expect } from "bun:test";
import pino from "pino";
import { onLinux } from "../../test/support/needs.ts";
import { serviceManager } from "./service-manager.ts";

async function scene(environment: Record<string, string | undefined>) {
  const sent: string[] = [];
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => said.push(JSON.parse(line).msg) });
  const connect = async () => (message: string) => void sent.push(message);
  const manager = await serviceManager(log, { NOTIFY_SOCKET: "/run/x", ...environment }, connect);
  const beats = async (ms: number) => {
    sent.length = 0;
    await Bun.sleep(ms);
    return sent.filter((message) => message === "WATCHDOG=1").length;
  };
  return { manager, sent, said, beats };
}

onLinux.test("it beats while nothing is deadly, stops with a word in the log, and beats again", async () => {
  const { manager, said, beats } = await scene({ WATCHDOG_USEC: "40000" });
  let deadly: string | undefined;
  expect(await beats(100)).toBe(0);
  manager.keepAlive(() => deadly);
  expect(await beats(200)).toBeGreaterThan(1);
  deadly = "The log was replaced.";
  expect(await beats(200)).toBe(0);
  expect(said).toEqual(["the service manager is asked for a restart"]);
  deadly = undefined;
  expect(await beats(200)).toBeGreaterThan(1);
});

onLinux.test("it is silent where nobody asked, or asked another process", async () => {
  for (const environment of [{}, { WATCHDOG_USEC: "0" }, { WATCHDOG_USEC: "20000", WATCHDOG_PID: "1" }]) {
    const { manager, beats } = await scene(environment);
    manager.keepAlive(() => undefined);
    expect(await beats(100)).toBe(0);
  }
});
