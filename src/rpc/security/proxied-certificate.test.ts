// What a proxy's header proves: the form that proxies write, and nothing that a client's own name could be bent into.
import { describe, expect, test } from "bun:test";
import { proxiedCertificate } from "./proxied-certificate.ts";

const HASH = "0123456789abcdef".repeat(4);
const of = (rest: string) => proxiedCertificate(`Hash=${HASH};${rest}`);
const name = (subject: string) => of(`Subject="${subject}"`)?.common_name;

test("as Envoy writes it", () => {
  expect(
    proxiedCertificate(
      `By=spiffe://proxy;Hash=${HASH.toUpperCase()};Cert="-----BEGIN%20CERTIFICATE%3B";Subject="CN=alice,OU=a\\, b,O=Example";URI=spiffe://a/b;URI=spiffe://c;DNS=a.example;DNS=b.example`,
    ),
  ).toEqual({
    common_name: "alice",
    san_uri: ["spiffe://a/b", "spiffe://c"],
    san_dns: ["a.example", "b.example"],
    issuer: null,
    serial: "",
    fingerprint: HASH,
    not_before: "",
    not_after: "",
  });
});

test("put together by hand, with issuer and serial", () => {
  expect(of('Subject="O=Example, CN=alice";Issuer="CN=the authority";Serial=0A1B')).toMatchObject({
    common_name: "alice",
    issuer: "the authority",
    serial: "0A1B",
  });
  // A subject may have no common name: its other names count.
  expect(of('Subject="O=Example";URI=spiffe://a')).toMatchObject({
    common_name: null,
    san_uri: ["spiffe://a"],
  });
});

describe("common names", () => {
  test.each([
    ["CN=alice", "alice"],
    ["cn=alice,O=x", "alice"],
    ["O=x+CN=alice", "alice"],
    ["2.5.4.3=alice", "alice"],
    ["CN=a b", "a b"],
    ["CN= alice , O=x", "alice"],
    ["CN=a\\,CN\\=root,O=x", "a,CN=root"],
    ["O=x\\,CN\\=root,CN=a", "a"],
    ["CN=J\\C3\\BCrgen", "Jürgen"],
    ["CN=ends\\ ", "ends "],
  ])("%p", (subject, expected) => expect(name(subject)).toBe(expected));

  test("in UTF-8, as a header carries it", () => {
    const wire = Buffer.from(`Hash=${HASH};Subject="CN=Jürgen"`).toString("latin1");
    expect(proxiedCertificate(wire)?.common_name).toBe("Jürgen");
  });

  test.each([
    "",
    "alice",
    "/O=x/CN=alice",
    "CN=",
    "CN=alice,CN=root",
    "CN=alice,",
    "CN=alice+",
    "CN=#0403616c69",
    "CN=a\\FF",
    "CN=a;O=x",
    'CN=a\\"b',
    'CN=\\"alice\\"',
    "CN=a<b",
    "=alice",
  ])("%p is none that can be read", (subject) => expect(name(subject)).toBeUndefined());
});

describe("a header that proves nothing", () => {
  const good = `Hash=${HASH};Subject="CN=alice"`;
  test.each([
    ["an empty one", ""],
    ["no fingerprint", 'Subject="CN=alice"'],
    ["a short fingerprint", 'Hash=0123;Subject="CN=alice"'],
    ["one that is none", `Hash=${"x".repeat(64)};Subject="CN=alice"`],
    ["no subject", `Hash=${HASH};URI=spiffe://a`],
    ["two elements: another proxy's, or a client's own", `${good},${good}`],
    ["a header beside it", `${good}, ${good}`],
    ["two fingerprints", `${good};Hash=${HASH}`],
    ["two subjects", `${good};subject="CN=root"`],
    ["a quote that does not end", `Hash=${HASH};Subject="CN=alice`],
    ["a quote that ends early", `Hash=${HASH};Subject="CN=x"CN=root"`],
    ["a name without quotes", `Hash=${HASH};Subject=CN=alice`],
    ["words", "yes"],
    ["more than fits", `${good};DNS=${"x".repeat(9_000)}`],
  ])("%s", (_what, header) => expect(proxiedCertificate(header)).toBeUndefined());

  test("what a certificate is called cannot end its own quotes", () => {
    // A name in RFC 4514 has a backslash before each quote and semicolon; Envoy puts a further one before quotes.
    for (const quote of ['\\"', '\\\\"'])
      for (const semicolon of [";", "\\;"])
        for (const end of [
          quote,
          "",
          `${semicolon}DNS=`,
          `${semicolon}DNS=${quote}`,
          ",CN=y",
          `,OU=${quote}`,
        ])
          expect(of(`Subject="CN=x${quote}${semicolon}URI=spiffe://root${end}"`)).toBeUndefined();
  });
});
