// Who a caller is, and who it is not: every way to present something, and what is made of it when it is wrong, old or somebody else's.
import { describe, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import type { CallFrom } from "../../../test/support/rpc-call.ts";
import {
  api_keys,
  base64,
  both,
  identify,
  jwt,
  KEY,
  sha256,
  soon,
  token,
} from "../../../test/support/rpc-identify.ts";

describe("without an authenticator", () => {
  test("a caller is what it says, unproved", async () => {
    const auth = { scheme: "bearer", credentials: "s3cret", principal: "anna", roles: ["reader"] };
    expect(await identify({ auth })).toEqual({
      id: "anna",
      type: "user",
      roles: ["reader"],
      scopes: [],
      verified: false,
      auth_scheme: null,
      tenant: undefined,
    });
  });

  test("who says nothing is anonymous, with the default role", async () => {
    expect(await identify({ document: { security: { default_role: "guest" } } })).toMatchObject({
      id: "anonymous",
      type: "anonymous",
      roles: ["guest"],
      verified: false,
    });
  });

  test("authentication that is required cannot be given", async () => {
    const document = { security: { require_auth: true } };
    expect(await identify({ document })).toBe(3000);
    expect(await identify({ document, auth: { principal: "anna" } })).toBe(3000);
    expect(await identify({ document, headers: { "x-api-key": KEY } })).toBe(3001);
  });
});

describe("where credentials are taken from", () => {
  const id = async (from: CallFrom) => {
    const known = await identify({ document: both, ...from });
    return typeof known === "number" ? known : known.id;
  };

  test("the envelope, then the bearer token, then X-API-Key", async () => {
    const headers = { authorization: `Bearer ${token()}`, "x-api-key": "another" };
    expect(await id({ headers: { "x-api-key": "another" } })).toBe("other");
    expect(await id({ headers })).toBe("anna");
    expect(await id({ headers, auth: { credentials: KEY } })).toBe("robot");
    // The first that is there counts, also where it is wrong.
    expect(await id({ headers, auth: { credentials: "wrong" } })).toBe(3001);
    expect(await id({ headers: { ...headers, authorization: "Bearer wrong" } })).toBe(3001);
  });

  test("an empty one is none", async () => {
    const document = { security: { ...both.security, require_auth: true } };
    expect(await id({ document, auth: { credentials: "" } })).toBe(3000);
    expect(await id({ document, headers: { "x-api-key": "" } })).toBe(3000);
    expect(await id({ document, headers: { authorization: "Bearer " } })).toBe(3000);
    expect(await id({ document, auth: { credentials: "" }, headers: { "x-api-key": KEY } })).toBe("robot");
  });

  test("the scheme says who looks at them; without one, three parts are a token", async () => {
    expect(await id({ auth: { scheme: "bearer", credentials: token() } })).toBe("anna");
    expect(await id({ auth: { scheme: "api_key", credentials: KEY } })).toBe("robot");
    expect(await id({ auth: { scheme: "unspecified", credentials: KEY } })).toBe("robot");
    expect(await id({ auth: { scheme: "bearer", credentials: KEY } })).toBe(3001);
    expect(await id({ auth: { scheme: "api_key", credentials: token() } })).toBe(3001);
    expect(await id({ auth: { credentials: `${token()}.x` } })).toBe(3001);
    const dotted = "a.b.c";
    const dottedKey = { security: { jwt, api_keys: [{ sha256: sha256(dotted), principal: "dotted" }] } };
    expect(await id({ document: dottedKey, auth: { credentials: dotted } })).toBe(3001);
    expect(await id({ document: dottedKey, auth: { scheme: "api_key", credentials: dotted } })).toBe(
      "dotted",
    );
  });

  test("a scheme whose authenticator is off is refused", async () => {
    expect(
      await id({ document: { security: { api_keys } }, headers: { authorization: `Bearer ${token()}` } }),
    ).toBe(3001);
    expect(await id({ document: { security: { jwt } }, headers: { "x-api-key": KEY } })).toBe(3001);
  });
});

describe("tokens", () => {
  const of = (credentials: string, more: Record<string, unknown> = {}) =>
    identify({
      document: { security: { jwt: { ...jwt, ...more } } },
      auth: { scheme: "bearer", credentials },
    });

  test("say who, with which roles, scopes and tenant", async () => {
    const claims = { roles: ["reader", "", 5], scope: "docs.read  docs.write", tenant: "acme" };
    expect(await of(token(claims))).toEqual({
      id: "anna",
      type: "user",
      roles: ["reader"],
      scopes: ["docs.read", "docs.write"],
      verified: true,
      auth_scheme: "bearer",
      tenant: "acme",
    });
    const own = { principal_claim: "uid", roles_claim: "groups", scopes_claim: "may", tenant_claim: "org" };
    expect(await of(token({ uid: "bert", groups: "a b", may: ["c"], org: "x" }), own)).toMatchObject({
      id: "bert",
      roles: ["a", "b"],
      scopes: ["c"],
      tenant: "x",
    });
  });

  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
  const rs256 = () => {
    const text = `${base64({ alg: "RS256" })}.${base64({ iss: "house", sub: "anna", exp: soon() })}`;
    return `${text}.${sign("sha256", Buffer.from(text), rsa.privateKey).toString("base64url")}`;
  };

  test.each<[string, () => string, Record<string, unknown>?]>([
    [
      "no algorithm",
      () => `${base64({ alg: "none" })}.${base64({ sub: "anna", iss: "house", exp: soon() })}.`,
    ],
    ["no algorithm, signed all the same", () => token({}, { alg: "none" })],
    ["no algorithm in other letters", () => token({}, { alg: "NoNe" })],
    ["another algorithm's name over the right signature", () => token({}, { alg: "RS256" })],
    ["no header's algorithm at all", () => token({}, {})],
    ["an RSA signature, where the secret is the public key", rs256, { secret: publicPem }],
    ["another secret", () => token({}, undefined, "another")],
    [
      "an empty secret",
      () => token({}, undefined, "x").replace(/[^.]*$/, createHmac("sha256", "").digest("base64url")),
    ],
    ["a signature with more behind it", () => `${token()}AAAA`],
    ["a signature with padding", () => `${token()}=`],
    ["a blank behind it", () => `${token()} `],
    ["another issuer", () => token({ iss: "other" })],
    ["no issuer", () => token({ iss: undefined })],
    ["an issuer in a list", () => token({ iss: ["house"] })],
    ["another audience", () => token({ aud: "b" }), { audience: "a" }],
    ["no audience", () => token(), { audience: "a" }],
    ["an audience that begins like it", () => token({ aud: ["ab"] }), { audience: "a" }],
    ["a time that has not come", () => token({ nbf: soon() })],
    ["no end", () => token({ exp: undefined })],
    ["an end as text", () => token({ exp: String(soon()) })],
    ["nobody's name", () => token({ sub: undefined })],
    ["an empty name", () => token({ sub: "" })],
    ["a name that is a number", () => token({ sub: 5 })],
    ["a name longer than 256", () => token({ sub: "x".repeat(257) })],
    ["a tenant that is none", () => token({ tenant: "a b" })],
    ["a tenant that is a list", () => token({ tenant: ["a"] })],
    ["more than 16 KiB", () => token({ fill: "x".repeat(16_384) })],
  ] as const)("with %s are none", async (_name, made, more = {}) => {
    const made_ = made();
    // Longer ones fit into no envelope, but into a header.
    if (made_.length <= 16_384) expect(await of(made_, more)).toBe(3001);
    else
      expect(
        await identify({ document: { security: { jwt } }, headers: { authorization: `Bearer ${made_}` } }),
      ).toBe(3001);
  });

  test("of one of several audiences count", async () => {
    expect(await of(token({ aud: ["b", "a"] }), { audience: "a" })).toMatchObject({ id: "anna" });
    expect(await of(token({ aud: "a" }), { audience: "a" })).toMatchObject({ id: "anna" });
  });

  test("that are over are told apart from wrong ones, but only with the right signature", async () => {
    expect(await of(token({ exp: 1 }))).toBe(3002);
    expect(await of(token({ exp: 1 }, undefined, "another"))).toBe(3001);
    expect(await of(token({ exp: 1, iss: "other" }))).toBe(3001);
  });

  test("of a clock that is a day off count only where the document gives the day", async () => {
    const day = 86_400;
    const late = token({ exp: soon() - day });
    const early = token({ nbf: soon() + day - 120, exp: soon() + 2 * day });
    expect([await of(late), await of(early)]).toEqual([3002, 3001]);
    for (const one of [late, early]) expect(await of(one, { leeway_s: day })).toMatchObject({ id: "anna" });
  });
});

describe("API keys", () => {
  const of = (credentials: string, list: unknown = api_keys) =>
    identify({ document: { security: { api_keys: list } }, auth: { scheme: "api_key", credentials } });

  test("say who, with which roles, scopes and tenant", async () => {
    expect(await of(KEY)).toEqual({
      id: "robot",
      type: "api_key",
      roles: ["reader"],
      scopes: ["docs.read"],
      verified: true,
      auth_scheme: "api_key",
      tenant: "acme",
    });
    const [one] = api_keys;
    expect(await of("another", [{ ...one, type: "service" }])).toMatchObject({
      id: "other",
      type: "service",
    });
  });

  test.each([
    `${KEY} `,
    ` ${KEY}`,
    `${KEY}\n`,
    `${KEY}\0`,
    `${KEY}x`,
    KEY.slice(0, -1),
    KEY.toUpperCase(),
    // What is known of a key opens nothing.
    sha256(KEY),
    "",
  ])("%p is none", async (text) => {
    if (text === "") expect(await of(text)).toMatchObject({ verified: false });
    else expect(await of(text)).toBe(3001);
  });

  test("are texts: a header carries their UTF-8", async () => {
    const key = "schlüssel-鍵";
    const list = [{ sha256: sha256(key), principal: "robot" }];
    const onTheWire = Buffer.from(key).toString("latin1");
    expect(await of(key, list)).toMatchObject({ id: "robot" });
    expect(
      await identify({ document: { security: { api_keys: list } }, headers: { "x-api-key": onTheWire } }),
    ).toMatchObject({ id: "robot" });
  });
});

describe("anonymous methods", () => {
  const document = { security: { ...both.security, require_auth: true } };
  const method = "rpc.v2/HealthService/Check";

  test("need nothing, and name only themselves", async () => {
    expect(await identify({ document, method })).toMatchObject({ id: "anonymous", verified: false });
    for (const other of [
      "rpc.v2/HealthService/CheckAll",
      "rpc.v2/HealthService.Check/X",
      "rpc.v2/healthService/Check",
      "rpc.v2/A/ping",
    ])
      expect(await identify({ document, method: other })).toBe(3000);
  });

  test("still refuse what is presented and wrong", async () => {
    expect(await identify({ document, method, headers: { "x-api-key": "wrong" } })).toBe(3001);
    expect(await identify({ document, method, headers: { "x-api-key": KEY } })).toMatchObject({
      id: "robot",
    });
  });
});

describe("client certificates", () => {
  const mtls = { scheme: "mtls" };
  const certificate = { common_name: "cn", san_dns: ["a.example", "b.example"], san_uri: ["spiffe://a"] };

  test("the scheme needs one that was verified, whatever else is presented", async () => {
    expect(await identify({ auth: mtls })).toBe(3000);
    expect(await identify({ document: both, auth: { ...mtls, credentials: KEY } })).toBe(3000);
    expect(await identify({ document: both, auth: mtls, headers: { "x-api-key": KEY } })).toBe(3000);
    // A module that knows the caller is no certificate.
    expect(await identify({ auth: { ...mtls, credentials: KEY } }, () => ({ id: "anna" }))).toBe(3000);
    // One without any name proves nobody.
    expect(await identify({ auth: { ...mtls, principal: "anna" }, certificate: {} })).toBe(3000);
    expect(await identify({ auth: mtls, certificate })).toMatchObject({ id: "spiffe://a", verified: true });
  });

  test("are a principal also where the scheme is not named, and the caller's own word does not count then", async () => {
    const document = {
      security: {
        require_auth: true,
        tls: {
          principal: {
            order: ["dns", "cn"],
            type: "robot",
            role_map: { "*.example": ["web"], "a.*": ["web", "a"], "b.*": ["b"] },
          },
        },
      },
    };
    expect(await identify({ document, certificate, auth: { principal: "anna", roles: ["admin"] } })).toEqual({
      id: "a.example",
      type: "robot",
      roles: ["web", "a"],
      scopes: [],
      verified: true,
      auth_scheme: "mtls",
      tenant: undefined,
    });
    expect(await identify({ document, certificate: { common_name: "", san_uri: ["x"] } })).toBe(3000);
  });

  test.each<[string, unknown, string | number]>([
    ["token", KEY, "robot"],
    ["cert", KEY, "spiffe://a"],
    ["reject", KEY, 3001],
    ["cert", "wrong", 3001],
  ])("beside a token, with %s and %p", async (on_conflict, key, expected) => {
    const document = { security: { api_keys, tls: { on_conflict } } };
    const known = await identify({ document, certificate, auth: { credentials: key } });
    expect(typeof known === "number" ? known : known.id).toBe(expected);
  });

  test("that name the token's principal are no conflict", async () => {
    const document = { security: { api_keys, tls: { on_conflict: "reject" } } };
    const auth = { credentials: KEY };
    expect(await identify({ document, auth, certificate: { common_name: "robot" } })).toMatchObject({
      id: "robot",
      auth_scheme: "api_key",
    });
  });
});
