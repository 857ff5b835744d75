// The profile passes the app's schema whatever is in the rows.
import { describe, expect, test } from "bun:test";
import { avatarUrl, githubBody, type ProfileParts, profileBody, readGithubProfile } from "./profile.ts";

const config = { publicUrl: undefined, port: 3005 };
const parts: ProfileParts = {
  id: "a",
  firstName: null,
  lastName: null,
  username: null,
  avatar: null,
  github: null,
  vendors: [],
};

test.each([
  [{ publicUrl: undefined, port: 3005 }, "http://localhost:3005/files/public/x.png"],
  [{ publicUrl: undefined, port: 8080 }, "http://localhost:8080/files/public/x.png"],
  [{ publicUrl: "https://home.example", port: 3005 }, "https://home.example/files/public/x.png"],
  // Not trimmed (HTTP contract 18); the server collapses the slashes again.
  [{ publicUrl: "https://home.example/", port: 3005 }, "https://home.example//files/public/x.png"],
  [
    { publicUrl: "https://home.example", port: 3005, s3Host: "s3.example", s3Bucket: "b" },
    "https://s3.example/b/public/x.png",
  ],
  [
    { publicUrl: undefined, port: 3005, s3Host: "s3.example", s3PublicUrl: "https://cdn.example" },
    "https://cdn.example/public/x.png",
  ],
])("with %j an avatar is at %s", (base, url) => {
  expect(avatarUrl(base, "public/x.png")).toBe(url);
});

describe("GitHub profile", () => {
  const raw = { id: 1, login: "octo", avatar_url: "https://a", html_url: "https://h" };
  test.each([
    [
      { ...raw, name: "Octo", email: "o@x", bio: "b" },
      { ...raw, name: "Octo", email: "o@x", bio: "b" },
    ],
    [
      { ...raw, name: null, email: null, bio: null },
      { ...raw, name: "octo", bio: null },
    ],
    [raw, { ...raw, name: "octo", bio: null }],
  ])("%j is shown as %j", (stored, shown) => {
    expect(githubBody(readGithubProfile(JSON.stringify(stored)))).toEqual(shown);
  });
});

test.each([
  ["no JSON", "{"],
  ["no object", "7"],
  ["parts missing", '{"path":"x","id":1}'],
])("stored text with %s shows as none instead of blocking the login", (_, text) => {
  expect(profileBody(config, { ...parts, avatar: text, github: text }, 5)).toMatchObject({
    avatar: null,
    github: null,
    timestamp: 5,
  });
});

test("connected services are known ones, each once", () => {
  const vendors = ["gemini", "openai", "gemini", "somebody"];
  expect(profileBody(config, { ...parts, vendors }, 0).connectedServices).toEqual(["openai", "gemini"]);
});
