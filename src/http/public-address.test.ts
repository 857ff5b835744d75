// What counts as inside, in every way of writing it, and that a name of the inside is refused before anybody is connected.
import { expect, test } from "bun:test";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { isPublicAddress, NotPublic, publicLookup } from "./public-address.ts";

test.each([
  "127.0.0.1",
  "127.8.8.8",
  "0.0.0.0",
  "10.1.2.3",
  "100.100.100.200",
  "169.254.169.254",
  "172.31.255.255",
  "192.168.1.1",
  "168.63.129.16",
  "198.19.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "ff02::1",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b::10.0.0.1",
  "2002:7f00:1::",
  "2001:db8::1",
  "localhost",
  "",
])("%s is inside", (address) => expect(isPublicAddress(address)).toBe(false));

test.each(["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"])(
  "%s is outside",
  (address) => expect(isPublicAddress(address)).toBe(true),
);

test("an address of this machine is inside", () => {
  for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    expect(isPublicAddress(address)).toBe(false);
});

test("a name of the inside is refused, and nothing reaches who listens there", async () => {
  let asked = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      asked++;
      return new Response();
    },
  });
  const error = await new Promise<Error>((resolve, reject) => {
    const sent = request(`http://localhost:${server.port}/`, { lookup: publicLookup }, () =>
      reject(new Error("it was reached")),
    );
    sent.on("error", resolve).end();
  });
  expect(error).toBeInstanceOf(NotPublic);
  expect(asked).toBe(0);
  await server.stop(true);
});
