// What every channel of pushes promises (src/push/channel.ts): the same suite runs against each, on a service that breaks as services do.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { PushChannel, Verdict } from "../../src/push/channel.ts";
import { deadlineIn } from "../../src/push/deadline.ts";

/** How a service has a bad moment: it passes, it refuses everybody, it answers with something else, or not at all. */
export type BadMoment = "busy" | "refusing" | "nonsense" | "silent";

export interface ChannelUnderTest<Address, Message> {
  readonly channel: PushChannel<Address, Message>;
  readonly message: Message;
  /** Far more than the service takes. */
  readonly tooLarge: Message;
  /** The n-th device, which is there. */
  device(n: number): Address;
  /** The n-th device, which is not there any more. */
  goneDevice(n: number): Address;
  /** For the next so many requests; for all when not said. */
  breaks(moment: BadMoment, requests?: number): void;
  /** Requests that reached the service. */
  requests(): number;
  /** The service goes away. */
  stop(): Promise<void>;
}

const patient = () => deadlineIn(10_000);
const seen = (verdicts: readonly Verdict[]) =>
  verdicts.map((verdict) => (verdict.ok ? "ok" : verdict.dead ? "dead" : "failed"));

export function channelSuite<Address, Message>(
  name: string,
  open: () => ChannelUnderTest<Address, Message>,
): void {
  describe(`the channel ${name}`, () => {
    let service: ChannelUnderTest<Address, Message>;
    beforeEach(() => {
      service = open();
    });
    afterEach(() => service.stop());

    const send = (to: readonly Address[], deadline = patient(), message = service.message) =>
      service.channel.send(to, message, deadline);
    const two = () => [service.device(1), service.device(2)];

    test("has a name, and nothing to do without devices", async () => {
      expect(service.channel.name).not.toBe("");
      expect(await send([])).toEqual([]);
      expect(service.requests()).toBe(0);
    });

    test("gives each device its own verdict, in their order, however many they are", async () => {
      const gone = new Set([0, 7, 99, 100, 249]);
      const to = Array.from({ length: 250 }, (_, n) =>
        gone.has(n) ? service.goneDevice(n) : service.device(n),
      );
      const verdicts = seen(await send(to));
      expect(verdicts).toEqual(Array.from({ length: 250 }, (_, n) => (gone.has(n) ? "dead" : "ok")));
    });

    test("asks again in a bad moment that passes", async () => {
      service.breaks("busy", 1);
      expect(seen(await send(two()))).toEqual(["ok", "ok"]);
    });

    test.each<BadMoment>(["busy", "refusing", "nonsense", "silent"])(
      "gives no device up to a service that is %s, and says why before the deadline",
      async (moment) => {
        service.breaks(moment);
        const startedAt = performance.now();
        const verdicts = await send([...two(), service.goneDevice(3)], deadlineIn(700));
        expect(performance.now() - startedAt).toBeLessThan(5_000);
        expect(seen(verdicts)).toEqual(["failed", "failed", "failed"]);
        for (const verdict of verdicts) expect(verdict).toMatchObject({ reason: expect.stringMatching(/./) });
      },
    );

    test("gives no device up to a service that is not there", async () => {
      const to = [...two(), service.goneDevice(3)];
      await service.stop();
      expect(seen(await send(to, deadlineIn(300)))).toEqual(["failed", "failed", "failed"]);
    });

    test("ends at once when the server stops", async () => {
      service.breaks("silent");
      const stopping = new AbortController();
      const sending = send(two(), deadlineIn(60_000, stopping.signal));
      while (service.requests() === 0) await Bun.sleep(5);
      const startedAt = performance.now();
      stopping.abort();
      expect(seen(await sending)).toEqual(["failed", "failed"]);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });

    test("does not multiply by the devices what no device would get", async () => {
      const to = Array.from({ length: 250 }, (_, n) => service.device(n));
      const verdicts = seen(await send(to, patient(), service.tooLarge));
      expect(new Set(verdicts)).toEqual(new Set(["failed"]));
      expect(verdicts).toHaveLength(250);
      expect(service.requests()).toBe(0);
    });
  });
}
