// A lack of descriptors is waited out; every other error is told at once.
import { expect, test } from "bun:test";
import { whenDescriptorsAreFree } from "./descriptor-wait.ts";

const failing = (code: string, times: number) => {
  let left = times;
  return { asked: () => times - left, open: async () => (left-- > 0 ? Promise.reject(error(code)) : "open") };
};
const error = (code: string) => Object.assign(new Error(code), { code });

test("a descriptor that comes free is taken", async () => {
  expect(await whenDescriptorsAreFree(failing("EMFILE", 3).open)).toBe("open");
  expect(await whenDescriptorsAreFree(failing("ENFILE", 1).open)).toBe("open");
});

test("another error is told at once", async () => {
  const { open, asked } = failing("EACCES", 5);
  expect(whenDescriptorsAreFree(open)).rejects.toThrow("EACCES");
  expect(asked()).toBe(1);
});
