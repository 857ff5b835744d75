// The older releases of the happy CLI that npm has, against the compiled executable: each pairs, brings its daemon online, starts a
// session that the phone asked for, and a message goes there and back, stored both ways. Run by `bun run test:clients`.
import { afterAll, describe, expect } from "bun:test";
import { until } from "../support/until.ts";
import { type Conversation, spawnConversation } from "./conversation.ts";
import type { HappyComputer } from "./happy-cli.ts";
import { olderReleases } from "./happy-release.ts";
import { Phone } from "./phone.ts";
import { boundMs, story } from "./scene.ts";

describe.each(olderReleases.map((release) => ({ ...release, title: `${release.name} ${release.version}` })))(
  "$title",
  (release) => {
    const tale = story(release);
    let phone: Phone;
    let desk: HappyComputer;
    let talk: Conversation;
    afterAll(() => phone?.disconnect());

    tale.scene("pairs, and its daemon comes online", async () => {
      phone = await Phone.signIn(tale.world.server.url);
      await phone.connect();
      desk = tale.world.addComputer("desk");
      const { terminalKey, process } = await desk.login();
      const { supportsV2 } = await phone.pairingStatus(terminalKey);
      await phone.approveTerminal(terminalKey, supportsV2 ? "v2" : "v1");
      await until("the login to end", () => process.child.exitCode ?? undefined, boundMs);
      expect(process.output()).toContain("Authentication successful");
      desk.run("daemon", "start-sync");
      const machine = await phone.machineOnline(desk.machineId, boundMs);
      expect(phone.cipherOf(machine).decrypt(machine.metadata)).toMatchObject({
        happyCliVersion: release.version,
      });
    });

    tale.scene("starts a session that the phone asks for, and answers what the phone says", async () => {
      const [machine] = await phone.machines();
      talk = await spawnConversation(phone, desk, machine ?? { dataEncryptionKey: null }, boundMs);
      expect(talk.metadata).toMatchObject({ path: desk.project, version: release.version, flavor: "claude" });
      await talk.say("hello");
      const lines = await until(
        "the answer among the stored messages",
        async () => {
          const stored = await talk.history(0);
          return stored.some(({ from, text }) => from === "agent" && text.includes("heard: hello"))
            ? stored
            : undefined;
        },
        boundMs,
      );
      expect(lines[0]).toMatchObject({ seq: 1, from: "person", text: "hello" });
      expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
      expect(phone.rejected).toEqual([]);
    });
  },
);
