// The golden vectors of the contracts: HTTP contract 21, data contract 7.7.
import { beforeAll, describe, expect, test } from "bun:test";
import { keyAt, open, seal } from "./key-tree.ts";
import { type SigningKeys, serviceKeys, signingKeys, stretch } from "./keys.ts";
import { Tokens } from "./tokens.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const BEARER_SALT = "handy Persistent Token";

/** Issued by the original's library with `compat-probe-0` (HTTP contract 21). */
const LEGACY =
  "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJsZWdhY3ktbm9kZS11c2VyIiwicHJvdmVuYW5jZSI6InByaXZhY3kta2l0LTAuMC4yNS1ub2RlIiwiaWF0Ijo5NDY2ODQ4MDAsIm5iZiI6OTQ2Njg0ODAwLCJpc3MiOiJoYW5keSIsImp0aSI6ImM5YjFiMTNjLTk5MjUtNDBmYy1iMDE5LWFlMzRiNDg2NzUxNyJ9.fxMFx-QExdVNDwOMMXIo34aVn_YoWk9gH5w_AfAcE0yh6xxR2dsVfizBJ1zix6ZygEPgQpv_RIFE-5h9xf-OCw";
/** Deterministic token of data contract 7.7, secret `test-master-secret`. */
const GOLDEN =
  "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjbXRlc3QwMDAwMDAwMDAwMDAwMDAwMDAxIiwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImlzcyI6ImhhbmR5IiwianRpIjoiMDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAwIn0.BH7FOTqrz0nonxVmc__-mT6jPUvTTEFbGUtIT7ThU9vsl6-EWf-lJ_myQsLzVD_KEPIwytLlUEyl92Kp6YkMDw";
const SESSION_TOKEN =
  "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjbXRlc3QwMDAwMDAwMDAwMDAwMDAwMDAxIiwic2Vzc2lvbiI6ImNtYXV0aHJlcTAwMDAwMDAwMDAwMDAwMSIsImlhdCI6MTc5NTMyNjI4NSwibmJmIjoxNzk1MzI2Mjg1LCJpc3MiOiJoYW5keSIsImp0aSI6ImE1ZGVkMmNiLWE5MjAtNDQ4Ny1hOGM4LTAxYmI5MjI1OWUwOCJ9.dW9X-Ipe-eq7SgDEnl5o9-ZJmUyY7ZKExmJr24QMV3HkI_meEW2iEdu0FW_x0swrE-_3cuw-kYCSNV9X29oAAg";

let probe: SigningKeys;
let vector: SigningKeys;
beforeAll(async () => {
  [probe, vector] = await Promise.all([
    serviceKeys("compat-probe-0", BEARER_SALT),
    serviceKeys("test-master-secret", BEARER_SALT),
  ]);
});

describe("keys derive from the master secret as the original derives them", () => {
  test("bearer keys", async () => {
    expect(hex((await stretch("compat-probe-0", BEARER_SALT)).subarray(0, 32))).toBe(
      "c2ff74f299e68c54dc02ca1e7cdff696631517e3f6427686d0b7b026722592d4",
    );
    expect(hex(probe.publicBytes)).toBe("50364dffc200f56d1ad274ff502569896ab643f471af12c830b2e9c2dbc176ef");
    expect(hex(vector.publicBytes)).toBe("c4cd5f21e5de528864eb985b57566bf50b92435ae8c09cd29f4ece7010529033");
  });

  test("GitHub state keys", async () => {
    const salt = "github-happy Ephemeral Token";
    expect(hex((await serviceKeys("compat-probe-0", salt)).publicBytes)).toBe(
      "d44862bea1b579b7a421dcd10f40323b98d8be550c51fe275021a5412284eabf",
    );
    expect(hex((await serviceKeys("test-master-secret", salt)).publicBytes)).toBe(
      "41172dba07110247dfd217a3b1beb397e3b05a150101f1c87b19469841d1c188",
    );
  });

  test("key tree and ciphertext layout", async () => {
    const master = await stretch("test-master-secret", "happy-server-tokens");
    expect(hex(master)).toBe(
      "0a8a5acc6b2eb85d3e5c13562c26d45037ff3aa31fe4f4fbaeff1f929fb42fee7b1d8a4464d96b3a670e1024c727813de558b2feff6e60db34ab18b579281ddb",
    );
    const key = keyAt(master, ["user", "u1", "vendors", "openai", "token"]);
    expect(hex(key)).toBe("5d800f02a007a32a8f6e9be2670edb8560725704ca993cd3d53b1f48712a3d94");
    expect(hex(keyAt(master, ["user", "u1", "github", "token"]))).toBe(
      "9d814e41925bfe116906fc7b9ef4d31205046729d7f815d653e7710802e42a0d",
    );
    const sealed = seal(key, "sk-test-token", new Uint8Array(12).fill(7));
    expect(hex(sealed)).toBe(
      "00070707070707070707070707a3c93404ebce429b9956adcae89d1b87a702010ad4578bf64afa6c2904",
    );
    expect(open(key, sealed)).toBe("sk-test-token");
    expect(() => open(key, Uint8Array.from([1, ...sealed.slice(1)]))).toThrow();
    const probeKey = keyAt(await stretch("compat-probe-0", "happy-server-tokens"), [
      "user",
      "u1",
      "vendors",
      "openai",
      "token",
    ]);
    expect(hex(probeKey)).toBe("102ce5592d6f5052c26fd1c5798e8f71ab8109cde7110cbe42da7b8f12716fb4");
  });
});

describe("tokens are interchangeable with the original's", () => {
  const tokens = (keys: SigningKeys) => new Tokens(Promise.resolve(keys), "handy");

  test("a token of the original is accepted", async () => {
    expect((await tokens(probe).verify(LEGACY))?.account).toBe("legacy-node-user");
    expect(await tokens(vector).verify(LEGACY)).toBeUndefined();
  });

  test("re-signing a token of the original reproduces it", async () => {
    const [, payload] = LEGACY.split(".");
    const claims = JSON.parse(atob(payload ?? ""));
    const again = await tokens(probe).issue({
      account: claims.sub,
      id: claims.jti,
      issuedAt: claims.iat,
      extra: { provenance: claims.provenance },
    });
    expect(again).toBe(LEGACY);
  });

  test("the golden token is made bit for bit", async () => {
    const made = await tokens(vector).issue({
      account: "cmtest0000000000000000001",
      issuedAt: 1_700_000_000,
      id: "00000000-0000-4000-8000-000000000000",
    });
    expect(made).toBe(GOLDEN);
  });

  test("the terminal flow's extra claim stands where the original puts it", async () => {
    const made = await tokens(vector).issue({
      account: "cmtest0000000000000000001",
      issuedAt: 1_795_326_285,
      id: "a5ded2cb-a920-4487-a8c8-01bb92259e08",
      extra: { session: "cmauthreq000000000000001" },
    });
    expect(made).toBe(SESSION_TOKEN);
  });

  test("a generation is a claim of its own, and none is no claim", async () => {
    const issued = await tokens(vector).issue({ account: "a", issuedAt: 1, id: "x", generation: 12 });
    expect(atob(issued.split(".")[1] ?? "")).toBe(
      '{"sub":"a","gen":12,"iat":1,"nbf":1,"iss":"handy","jti":"x"}',
    );
    expect(await tokens(vector).verify(issued)).toEqual({
      account: "a",
      id: "x",
      issuedAt: 1,
      generation: 12,
    });
    expect((await tokens(vector).verify(GOLDEN))?.generation).toBe(0);
  });

  test("every issued payload survives the app's plain atob and names its account", async () => {
    for (let round = 0; round < 200; round++) {
      const [, payload = ""] = (await tokens(vector).issue({ account: `cm${round}x` })).split(".");
      expect(payload).not.toMatch(/[-_]/);
      expect(JSON.parse(atob(payload)).sub).toBe(`cm${round}x`);
    }
  });
});

describe("what is not a token of this server is refused", () => {
  const sign = async (header: object, payload: object, keys: SigningKeys = probe) => {
    const head = [header, payload]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const signature = await crypto.subtle.sign("Ed25519", keys.privateKey, Buffer.from(head));
    return `${head}.${Buffer.from(signature).toString("base64url")}`;
  };
  const now = Math.floor(Date.now() / 1000);
  const good = { sub: "a", iat: now, nbf: now, iss: "handy", jti: "x" };
  const cases: [string, object, object, boolean][] = [
    ["plain", { alg: "EdDSA" }, good, true],
    ["alg Ed25519", { alg: "Ed25519" }, good, true],
    ["extra typ", { alg: "EdDSA", typ: "JWT" }, good, true],
    ["alg none", { alg: "none" }, good, false],
    ["alg HS256", { alg: "HS256" }, good, false],
    ["other issuer", { alg: "EdDSA" }, { ...good, iss: "other" }, false],
    ["expired", { alg: "EdDSA" }, { ...good, exp: now - 1 }, false],
    ["not yet expired", { alg: "EdDSA" }, { ...good, exp: now + 60 }, true],
    // Signed by this server with a clock that has been set back since (HTTP contract, decisions).
    ["nbf in the future", { alg: "EdDSA" }, { ...good, nbf: now + 86_400 }, true],
    ["nbf that is no time", { alg: "EdDSA" }, { ...good, nbf: "soon" }, true],
    ["iat in the future", { alg: "EdDSA" }, { ...good, iat: now + 86_400 }, true],
    ["iat that is no time", { alg: "EdDSA" }, { ...good, iat: "now" }, false],
    ["exp that is no time", { alg: "EdDSA" }, { ...good, exp: "never" }, false],
    ["a generation", { alg: "EdDSA" }, { ...good, gen: 3 }, true],
    ["a generation that is no number", { alg: "EdDSA" }, { ...good, gen: "3" }, false],
    ["a payload that is not encoded", { alg: "EdDSA", b64: false, crit: ["b64"] }, good, false],
    ["an extension that nobody knows", { alg: "EdDSA", crit: ["x"], x: 1 }, good, false],
    ["no object", { alg: "EdDSA" }, [1], false],
    ["without sub", { alg: "EdDSA" }, { iat: now, nbf: now, iss: "handy" }, false],
    ["sub not text", { alg: "EdDSA" }, { ...good, sub: 5 }, false],
  ];
  test.each(cases)("%s", async (_name, header, payload, accepted) => {
    const tokens = new Tokens(Promise.resolve(probe), "handy");
    expect((await tokens.verify(await sign(header, payload))) !== undefined).toBe(accepted);
  });

  test.each([
    ["back a day", -86_400_000, true],
    ["ahead by a day", 86_400_000, false],
    ["back a year", -365 * 86_400_000, true],
  ])("a lifetime of minutes while the clock goes %s", async (_name, byMs, accepted) => {
    let offset = 0;
    const clock = () => Date.now() + offset;
    const tokens = new Tokens(Promise.resolve(probe), "handy", clock);
    const token = await tokens.issue({ account: "a", lifetime: 300 });
    expect(await tokens.verify(token)).toBeDefined();
    offset = byMs;
    // From the memory of what was verified, and anew.
    expect(tokens.verifiedBefore(token) !== undefined).toBe(accepted);
    expect((await new Tokens(Promise.resolve(probe), "handy", clock).verify(token)) !== undefined).toBe(
      accepted,
    );
  });

  test("junk never throws", async () => {
    const tokens = new Tokens(Promise.resolve(probe), "handy");
    for (const junk of [
      "",
      "a",
      "a.b",
      "a.b.c",
      "...",
      "é.é.é",
      LEGACY.slice(0, -2),
      `${LEGACY}.x`,
      "x".repeat(100_000),
    ]) {
      expect(await tokens.verify(junk)).toBeUndefined();
    }
  });

  test("a token of another key is refused", async () => {
    const other = await signingKeys(new Uint8Array(32).fill(9));
    expect(
      await new Tokens(Promise.resolve(probe), "handy").verify(await sign({ alg: "EdDSA" }, good, other)),
    ).toBeUndefined();
  });
});
