// Two protocols that want one namespace of a path, and claims that come too late, are told at the start.
import { describe, expect, test } from "bun:test";
import { testLimits } from "../../test/support/limits.ts";
import { claimOf, PATH } from "../../test/support/shared-sockets.ts";
import { createLog } from "../observability/log.ts";
import type { NamespaceClaim } from "./socket-claims.ts";
import { SocketIoPaths } from "./socket-io.ts";

const feeds = (changes: Partial<NamespaceClaim> = {}) => claimOf("feeds", "/", changes);
const cli = (changes: Partial<NamespaceClaim> = {}) => claimOf("shell", "/cli", changes);

describe("claims that collide", () => {
  const at = () => new SocketIoPaths({ limits: testLimits(), log: createLog("silent") });

  test("the same namespace of one path, whoever comes first; on another path it is free", () => {
    const paths = at();
    paths.claim(PATH, feeds());
    paths.claim("/other/", cli());
    expect(() => paths.claim(PATH, claimOf("shell", "/"))).toThrow(
      "Both feeds and shell claim the namespace / at /socket.io/.",
    );
    expect(() => paths.claimOpen(PATH, { protocol: "shell", namespace: "/" })).toThrow(
      "Both feeds and shell claim the namespace / at /socket.io/.",
    );
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/", yields: true });
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/open" });
    expect(() => paths.claim(PATH, claimOf("feeds", "/open"))).toThrow(
      "Both shell and feeds claim the namespace /open at /socket.io/.",
    );
  });

  test("another name of a namespace that is one itself, and two that have other names", () => {
    const paths = at();
    paths.claim(PATH, feeds({ otherNames: (name) => name.startsWith("/i/") }));
    for (const claim of [cli({ namespace: "/i/cli" }), cli({ otherNames: () => false })])
      expect(() => paths.claim(PATH, claim)).toThrow("Both feeds and shell claim further names");
  });

  test("a path where nobody asks who comes, and a claim after the door was opened", () => {
    const paths = at();
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/" });
    expect(() => paths.open()).toThrow("shell: no namespace at /socket.io/ asks who its clients are.");
    const late = at();
    late.claim(PATH, feeds());
    late.open();
    expect(() => late.claim(PATH, cli())).toThrow(
      "shell claims the namespace /cli at /socket.io/ after the door was opened.",
    );
  });
});
