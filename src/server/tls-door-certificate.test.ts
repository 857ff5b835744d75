// A certificate's names are told as they stand in it: no name can pose as two, or as one of another kind.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { Certificates, withOpenssl } from "../../test/support/certificates.ts";
import { alternativeNames, clientCertificate } from "./tls-door-certificate.ts";

const ODD = [
  "subjectAltName=@names",
  "[names]",
  "URI.1=http://x/\\, DNS:admin",
  "DNS.1=ok.example",
  "DNS.2=a\\, URI:spiffe://admin",
  'URI.2=http://x/\\"quoted\\"',
  "email.1=a@b.example",
  "IP.1=10.0.0.1",
];

withOpenssl.test("names with commas and quotes in them stay single names of their kind", async () => {
  using certificates = new Certificates();
  const authority = await certificates.authority("authority");
  const { cert } = await certificates.leaf(authority, {
    subject: "/O=x/CN=first\\, CN=no/CN=second",
    names: ODD.join("\n"),
  });
  const known = clientCertificate(new X509Certificate(cert).toLegacyObject());
  expect(known).toMatchObject({
    uris: ["http://x/, DNS:admin", 'http://x/"quoted"'],
    dnsNames: ["ok.example", "a, URI:spiffe://admin"],
    issuerCommonName: "authority",
    isAllowed: true,
  });
  expect(known.commonName).toStartWith("first");
  expect(known.validUntil - known.validFrom).toBe(2 * 24 * 3600 * 1000);
});

withOpenssl.test("it may come when each list that names anybody names it", async () => {
  using certificates = new Certificates();
  const authority = await certificates.authority("authority");
  const names = "subjectAltName=DNS:a.example,DNS:b.example";
  const { cert } = await certificates.leaf(authority, { subject: "/CN=a", names });
  const shown = new X509Certificate(cert).toLegacyObject();
  const isAllowed = (allowed: Parameters<typeof clientCertificate>[1]) =>
    clientCertificate(shown, allowed).isAllowed;
  expect(isAllowed({ dnsNames: ["b.example"], issuerCommonNames: ["authority"] })).toBe(true);
  expect(isAllowed({ subjectCommonNames: [], dnsNames: ["a.example"] })).toBe(true);
  expect(isAllowed({ dnsNames: ["b.example"], issuerCommonNames: ["another"] })).toBe(false);
  expect(isAllowed({ subjectCommonNames: ["a.example"] })).toBe(false);
  expect(isAllowed({ dnsNames: ["*.example"] })).toBe(false);
});

test("what cannot be told apart is an error", () => {
  expect(alternativeNames("")).toEqual([]);
  for (const text of ["DNS", "DNS:a,URI:b", 'URI:"open', 'URI:"a"b, DNS:c'])
    expect(() => alternativeNames(text)).toThrow();
});
