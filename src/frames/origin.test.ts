// Whose pages may connect without a token: this server's own, under names that a stranger cannot have pointed at it.
import { describe, expect, test } from "bun:test";
import { isOwnOrigin } from "./origin.ts";

interface Asked {
  readonly origin: string;
  readonly host?: string;
  readonly publicUrl?: string;
  readonly tls?: boolean;
  readonly proxied?: Record<string, string>;
}

function own({ origin, host = "127.0.0.1:3005", publicUrl, tls = false, proxied }: Asked): boolean {
  const headers = new Headers({ origin, host, ...proxied });
  return isOwnOrigin({ headers, trustedProxy: proxied !== undefined, isSecure: tls }, { publicUrl });
}

const FORWARDED = { "x-forwarded-for": "203.0.113.4" };

describe("its own", () => {
  test.each<Asked>([
    { origin: "http://127.0.0.1:3005" },
    { origin: "http://localhost:3005", host: "localhost:3005" },
    { origin: "http://[::1]:3005", host: "[::1]:3005" },
    { origin: "http://nas:3005", host: "nas:3005" },
    { origin: "http://nas.local", host: "nas.local" },
    { origin: "http://nas.local", host: "nas.local:80" },
    { origin: "https://relay.example", publicUrl: "https://relay.example" },
    { origin: "https://relay.example", host: "relay.example", tls: true },
    { origin: "https://relay.example", host: "relay.example", proxied: FORWARDED },
    { origin: "https://relay.example", proxied: { ...FORWARDED, "x-forwarded-host": "relay.example" } },
    { origin: "https://relay.example", proxied: { ...FORWARDED, "x-forwarded-host": "x, relay.example" } },
  ])("%p", (asked) => expect(own(asked)).toBe(true));

  test("no origin: it is no web page", () => {
    const facts = { headers: new Headers({ host: "x" }), trustedProxy: false, isSecure: false };
    expect(isOwnOrigin(facts, { publicUrl: undefined })).toBe(true);
  });
});

describe("a stranger's", () => {
  test.each<Asked>([
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "file://" },
    { origin: "" },
    { origin: "http://127.0.0.1:3006" },
    { origin: "http://127.0.0.1" },
    { origin: "http://127.0.0.1:3005.evil.example" },
    { origin: "http://127.0.0.1:3005@evil.example" },
    { origin: "app://127.0.0.1:3005" },
    // A name that its owner pointed at this machine.
    { origin: "http://evil.example:3005", host: "evil.example:3005" },
    // Only a trusted proxy says which name was asked for.
    { origin: "https://evil.example", host: "127.0.0.1:3005", publicUrl: "https://relay.example" },
    { origin: "https://evil.example", host: "relay.example", proxied: FORWARDED },
    { origin: "https://evil.example", proxied: { "x-forwarded-host": "evil.example" } },
    // What stands before the proxy's own word was the client's.
    {
      origin: "https://evil.example",
      proxied: { ...FORWARDED, "x-forwarded-host": "evil.example, relay.example" },
    },
  ])("%p", (asked) => expect(own(asked)).toBe(false));

  test("what a stranger says of forwarding is not believed", () => {
    const headers = new Headers({
      origin: "http://evil.example",
      host: "evil.example",
      ...FORWARDED,
      "x-forwarded-host": "evil.example",
    });
    expect(isOwnOrigin({ headers, trustedProxy: false, isSecure: false }, { publicUrl: undefined })).toBe(
      false,
    );
  });
});
