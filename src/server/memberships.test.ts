// In which namespaces a connection is: what it may send, whether a newcomer may have its place, and how its packets are named.
import { expect, test } from "bun:test";
import { claimOf } from "../../test/support/shared-sockets.ts";
import { Memberships } from "./memberships.ts";
import { Claims, type NamespaceClaim } from "./socket-claims.ts";

const FEEDS = claimOf("feeds", "/", {
  otherNames: (name) => name.startsWith("/i/"),
  limits: { maxMessageBytes: 10, maxQueuedBytes: 300, maxPollingBytes: 5 },
});
const CLI = claimOf("shell", "/cli", {
  limits: { maxMessageBytes: 20, maxQueuedBytes: 200, maxPollingBytes: 7 },
});

function connection(closed: readonly NamespaceClaim[] = [FEEDS, CLI]) {
  const claims = new Claims("/x/");
  for (const claim of closed) claims.add(claim);
  claims.addOpen({ protocol: "shell", namespace: "/open" });
  claims.addOpen({ protocol: "shell", namespace: "/kept", keepsPlace: true });
  const members = new Memberships(claims.servedAt(new Set(["feeds", "shell"])));
  const join = (claim: NamespaceClaim, name = claim.namespace) => {
    members.asks(claim, name);
    members.answered(claim, "inside");
  };
  return { members, join };
}

test("limits are the smallest of all, then the largest of where it is in, then the smallest again", () => {
  const { members, join } = connection();
  const smallest = { maxMessageBytes: 10, maxQueuedBytes: 200, maxPollingBytes: 5 };
  expect(members.limits).toEqual(smallest);
  members.asks(CLI, "/cli");
  expect([members.isInside, members.limits]).toEqual([false, smallest]);
  members.answered(CLI, "inside");
  expect([members.isInside, members.limits]).toEqual([true, CLI.limits]);
  join(FEEDS);
  expect(members.limits).toEqual({ maxMessageBytes: 20, maxQueuedBytes: 300, maxPollingBytes: 7 });
  members.leaves(CLI);
  expect(members.limits).toEqual(FEEDS.limits);
  members.leaves(FEEDS);
  expect([members.isInside, members.limits]).toEqual([false, smallest]);
});

test("it is busy while it asks, or where its protocol bounds who is in; an open namespace alone keeps no place", () => {
  const { members } = connection();
  members.joinedOpen("/open");
  expect([members.isBusy, members.isAnywhere, members.isInside]).toEqual([false, true, false]);
  members.joinedOpen("/kept");
  expect(members.isBusy).toBe(true);
  expect([members.leftOpen("/kept"), members.leftOpen("/kept"), members.isBusy]).toEqual([
    true,
    false,
    false,
  ]);
  members.asks(CLI, "/cli");
  expect(members.isBusy).toBe(true);
  members.answered(CLI, "outside");
  expect(members.isBusy).toBe(false);
});

test("only events of the one namespace that it is in under its own name need no closer look", () => {
  const { members, join } = connection();
  expect(members.quickPrefix).toBeUndefined();
  join(FEEDS);
  expect(members.quickPrefix).toBe("2[");
  join(CLI);
  expect([members.quickPrefix, members.hasSeveral]).toEqual([undefined, true]);
  members.leaves(FEEDS);
  expect([members.quickPrefix, members.hasSeveral]).toEqual(["2/cli,[", false]);
  members.leaves(CLI);
  join(FEEDS, "/i/abc");
  expect([members.quickPrefix, members.renamed]).toEqual([undefined, { namespace: "/", name: "/i/abc" }]);
  members.leaves(FEEDS);
  join(FEEDS);
  expect([members.quickPrefix, members.renamed]).toEqual(["2[", undefined]);
});

test("what else is on the connection counts from the moment it is asked for", () => {
  const { members, join } = connection();
  join(FEEDS);
  expect([members.hasBeside(FEEDS), members.hasBeside(CLI)]).toEqual([false, true]);
  members.asks(CLI, "/cli");
  expect(members.hasBeside(FEEDS)).toBe(true);
  members.answered(CLI, "outside");
  expect(members.hasBeside(FEEDS)).toBe(false);
});
