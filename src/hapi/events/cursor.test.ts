import { describe, expect, test } from "bun:test";
import { Cursors } from "./cursor.ts";

describe("a cursor", () => {
  const cursors = new Cursors();

  test("is epoch, number and tag, and gives its number back", () => {
    const cursor = cursors.of(42, "default");
    expect(cursor).toMatch(/^[0-9a-f]{8}:42:[0-9a-f]{8}$/);
    expect(cursors.numberIn(cursor, "default")).toBe(42);
  });

  test("has the same tag for everything of one namespace, and another for another", () => {
    const tag = (number: number, namespace: string) => cursors.of(number, namespace).split(":")[2];
    expect(tag(1, "a")).toBe(tag(2, "a"));
    expect(tag(1, "a")).not.toBe(tag(1, "b"));
    expect(tag(3, "a")).toBe(tag(1, "a"));
    expect(tag(1, "")).not.toBe(tag(1, "a"));
  });

  test("is worth nothing in another namespace or another run, or when somebody made it up", () => {
    const cursor = cursors.of(7, "a");
    const [epoch, , tag] = cursor.split(":");
    expect(cursors.numberIn(cursor, "b")).toBeUndefined();
    expect(new Cursors().numberIn(cursor, "a")).toBeUndefined();
    for (const made of [
      undefined,
      "",
      "7",
      `${epoch}:7`,
      `${epoch}:7:${tag}:`,
      `${epoch}:07:${tag}`,
      `${epoch}:0:${tag}`,
      `${epoch}:-7:${tag}`,
      `${epoch}:7.5:${tag}`,
      `${epoch}:7e3:${tag}`,
      `${epoch}:${"9".repeat(40)}:${tag}`,
      ` ${cursor}`,
      `${cursor}\n`,
      cursor.toUpperCase().replace(/[A-F]/, "A") === cursor ? "x" : `${epoch}:7:${tag?.toUpperCase()}G`,
    ])
      expect(cursors.numberIn(made, "a")).toBeUndefined();
  });
});
