// Terms that cannot hold are refused with a sentence, before anything listens on them; nothing in them is passed over.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestCertificates, testCertificates, withOpenssl } from "../../test/support/certificates.ts";
import { readTlsTerms, secureOptions, type TlsTerms } from "./tls-door-terms.ts";

const { describe } = withOpenssl;
let made: TestCertificates;
beforeAll(async () => {
  if (withOpenssl.met) made = await testCertificates();
});
afterAll(() => made?.certificates[Symbol.dispose]());

type Change = () => Partial<TlsTerms> | Promise<Partial<TlsTerms>>;

async function options(change: Change) {
  const { cert, key } = made.server;
  return secureOptions({ cert, key, clientCertificates: "none", ...(await change()) });
}

const asking = (more: Partial<TlsTerms> = {}): Partial<TlsTerms> => ({
  clientCertificates: "optional",
  ca: made.authority.cert,
  ...more,
});

describe("terms", () => {
  test.each<[what: string, change: Change, problem: RegExp]>([
    ["required without an authority", () => ({ clientCertificates: "required" }), /no authority/],
    ["an authority for nobody", () => ({ ca: made.authority.cert }), /not asked for/],
    ["names for nobody", () => ({ allowed: { dnsNames: ["a"] } }), /not asked for/],
    [
      "a least version above the highest",
      () => ({ minimumVersion: "TLSv1.3", maximumVersion: "TLSv1.2" }),
      /No version of TLS/,
    ],
    ["a cipher that nobody knows", () => ({ ciphers: "NONSENSE" }), /No cipher is known of "NONSENSE"/],
    [
      "a cipher that cannot be chosen",
      () => ({ ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384" }),
      /TLS_AES_256_GCM_SHA384 is one of TLS 1.3/,
    ],
    ["a key of another certificate", () => ({ key: made.alice.key }), /does not belong/],
    ["no certificate", () => ({ cert: "" }), /no usable certificate/],
    ["no authority in the text", () => asking({ ca: "nothing" }), /no certificate in PEM/],
    [
      "an authority that is cut",
      () => asking({ ca: made.authority.cert.replace(/\n.{30}/, "\n") }),
      /no usable certificate of an authority/,
    ],
    ["a list that is none", () => asking({ crl: "nothing" }), /cannot be used|no usable/],
    [
      "a key's wrong password",
      async () => ({ key: await made.certificates.encrypted(made.server, "right"), keyPassword: "wrong" }),
      /password/,
    ],
    [
      "a key without its password",
      async () => ({ key: await made.certificates.encrypted(made.server, "right") }),
      /password/,
    ],
  ])("%s: refused", async (_, change, problem) => {
    const refused = await options(change).catch((error: Error) => error);
    expect(refused).toBeInstanceOf(Error);
    expect((refused as Error).message).toMatch(problem);
    expect((refused as Error).message).not.toMatch(/PRIVATE|right|wrong/);
  });

  test.each<[what: string, change: Change]>([
    ["nothing but a certificate", () => ({})],
    ["names that are empty", () => ({ allowed: { dnsNames: [] } })],
    ["TLS 1.2 and its ciphers", () => ({ maximumVersion: "TLSv1.2", ciphers: "ECDHE+AESGCM:!aNULL" })],
    ["an authority", () => asking()],
    ["a list", async () => asking({ crl: await made.certificates.revoked(made.authority) })],
    [
      "a key with its password",
      async () => ({ key: await made.certificates.encrypted(made.server, "right"), keyPassword: "right" }),
    ],
  ])("%s: taken", async (_, change) => {
    expect(await options(change)).toMatchObject({ minVersion: "TLSv1.2" });
  });

  test("are read from files; one that is not there is named", () => {
    const { cert, key } = made.server.paths;
    expect(readTlsTerms({ cert, key, clientCertificates: "none" })).toMatchObject({ cert: made.server.cert });
    const ca = "/nowhere/ca.crt";
    expect(() => readTlsTerms({ cert, key, ca, clientCertificates: "optional" })).toThrow(
      "The file /nowhere/ca.crt is not there.",
    );
  });
});
