// Who takes whose room: names that a caller can invent are one holder, and who holds nothing is not remembered.
import { expect, test } from "bun:test";
import { ANYONE, holderOf, mayHold, Shares } from "./shares.ts";

test("many names of one caller give it no more room", () => {
  expect(holderOf("acme", true, true)).toBe("tenant/acme");
  for (const tenant of ["acme", "globex", "anyone", "unbound"]) {
    expect(holderOf(tenant, false, false)).toBe(ANYONE);
    expect(holderOf(tenant, true, false)).toBe(holderOf("acme", true, false));
    expect(holderOf(tenant, true, true)).not.toBe(holderOf(tenant, true, false));
    expect(holderOf(tenant, true, true)).not.toBe(ANYONE);
  }
});

test("alone a holder has seven eighths; as its things end, it and whoever came have the same, and some is left", () => {
  const bounds = { entries: 10_000, bytes: 100_000_000 };
  const shares = new Shares();
  const held = new Map<string, number>();
  const add = (holder: string, most: number) => {
    let count = 0;
    for (; count < most && shares.mayHold(holder, bounds, 1_000); count++) shares.add(holder, 1_000, true);
    held.set(holder, (held.get(holder) ?? 0) + count);
  };
  add("tenant/0", Number.POSITIVE_INFINITY);
  expect(held.get("tenant/0")).toBe(8_750);
  const tenants = Array.from({ length: 10 }, (_, tenant) => `tenant/${tenant}`);
  for (let round = 0; round < 400; round++)
    for (const tenant of tenants) {
      const ended = Math.min(held.get(tenant) ?? 0, 100);
      for (let n = 0; n < ended; n++) shares.remove(tenant, 1_000, true);
      held.set(tenant, (held.get(tenant) ?? 0) - ended);
      add(tenant, 200);
    }
  for (const tenant of tenants)
    expect([tenant, Math.abs((held.get(tenant) ?? 0) - 986) < 250]).toEqual([tenant, true]);
  expect(shares.mayHold("tenant/new", bounds, 1_000)).toBe(true);
});

test("bytes are a bound of their own", () => {
  const all = { firm: 1, firmBytes: 900 };
  expect(mayHold({ firm: 1, firmBytes: 100 }, all, { entries: 100, bytes: 1_000 }, 100)).toBe(true);
  expect(mayHold({ firm: 1, firmBytes: 900 }, all, { entries: 100, bytes: 1_000 }, 10)).toBe(false);
  expect(mayHold({ firm: 1, firmBytes: 100 }, all, { entries: 100, bytes: 1_000 }, 101)).toBe(false);
});

test("who has nothing left is forgotten, however many came", () => {
  const shares = new Shares();
  for (let tenant = 0; tenant < 1_000; tenant++) {
    shares.add(`tenant/${tenant}`, 10, true);
    shares.change(`tenant/${tenant}`, { bytes: 10, isFirm: true }, { bytes: 20, isFirm: false });
    expect(shares.giver("tenant/new", "bytes", { entries: 1, bytes: 1 })).toBe(`tenant/${tenant}`);
    shares.remove(`tenant/${tenant}`, 20, false);
  }
  expect(shares.size).toBe(0);
  expect(shares.all).toEqual({ entries: 0, bytes: 0, firm: 0, firmBytes: 0 });
});
