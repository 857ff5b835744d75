// A running server and its configuration: what people are shown, and what SIGHUP and changed files do to it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { Folder } from "./support/executable.ts";
import { newAccount } from "./support/happy-client.ts";
import { roostCommand } from "./support/process.ts";

let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

const file = (name: string) => join(folder.path, name);
/** As an editor or a certificate tool does it. */
function replace(name: string, content: string): void {
  writeFileSync(file(`${name}.new`), content);
  renameSync(file(`${name}.new`), file(name));
}

async function serving(...flags: string[]) {
  const launched = folder.start([...roostCommand(), "--port", "0", "--host", "127.0.0.1", ...flags]);
  const url = await launched.printed(/(https?:\/\/127\.0\.0\.1:\d+)/);
  return { url, ...launched };
}

test("roost config says what is in effect, from where, and hides secrets", async () => {
  writeFileSync(file("roost.yaml"), "log:\n  level: debug\nmasterSecret: hush-hush\n");
  const { code, stdout, stderr } = await folder.run([...roostCommand(), "config", "--port", "4000"], {
    HOST: "127.0.0.1",
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Configuration file: ${file("roost.yaml")}`);
  expect(stdout).toContain("port: 4000   (--port)\n    TCP port");
  expect(stdout).toContain("host: 127.0.0.1   (HOST)\n");
  expect(stdout).toContain(`logLevel: debug   (log.level (${file("roost.yaml")}, line 2))\n`);
  expect(stdout).toContain("rateLimits: true   (default)\n");
  expect(stdout).toContain("masterSecret: (hidden)");
  expect(stdout).not.toContain("hush");
});

test.each([
  [["config", "--prot", "1"], {}, "roost: Unknown setting --prot. Did you mean --port?\n"],
  [
    ["serve"],
    { ROOST_LOGLEVEL: "x" },
    "roost: Unknown setting ROOST_LOGLEVEL in the environment. Did you mean ROOST_LOG_LEVEL?\n",
  ],
  [["migrate", "--config", "/gone.yaml"], {}, "roost: The configuration file /gone.yaml is not there.\n"],
  [["serve", "--tls-cert", "/c.pem"], {}, "roost: --tls-cert needs --tls-key beside it.\n"],
])("%j %j is one sentence and exit code 2", async (argv, env, stderr) => {
  expect(await folder.run([...roostCommand(), ...argv], env)).toEqual({ code: 2, stdout: "", stderr });
  expect(existsSync(file("data"))).toBe(false);
});

test("a certificate that is not usable is one sentence and exit code 1", async () => {
  copyFileSync(join(import.meta.dir, "fixtures/tls/first.crt"), file("tls.crt"));
  copyFileSync(join(import.meta.dir, "fixtures/tls/renewed.key"), file("tls.key"));
  const { code, stderr } = await folder.run([
    ...roostCommand(),
    "--tls-cert",
    "tls.crt",
    "--tls-key",
    "tls.key",
  ]);
  expect(stderr).toBe("roost: The key in tls.key does not belong to the certificate in tls.crt.\n");
  expect(code).toBe(1);
});

test("SIGHUP takes over what can change, names what cannot, and a mistake changes nothing", async () => {
  writeFileSync(file("roost.yaml"), "logLevel: info\nminFreeBytes: 0\n");
  const server = await serving();
  writeFileSync(file("roost.yaml"), "logLevel: debug\nminFreeBytes: 1\nmaxBodyBytes: 2000\n");
  server.signal("SIGHUP");
  expect(await server.printed(/"settings":(\[.*?\]),"msg":"changed settings are in effect"/)).toBe(
    '["logLevel","maxBodyBytes"]',
  );
  expect(await server.printed(/"settings":(\[.*?\]),"msg":"changed settings take effect at the next/)).toBe(
    '["minFreeBytes"]',
  );
  const account = await newAccount(server.url);
  const refused = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "x".repeat(3000) });
  expect(refused.status).toBe(413);
  writeFileSync(file("roost.yaml"), "logLevel: debug\nmaxBodyBites: 1\n");
  server.signal("SIGHUP");
  expect(await server.printed(/"problem":"(.*?)","msg":"the change was not followed/)).toBe(
    `${file("roost.yaml")}, line 2: unknown setting maxBodyBites. Did you mean maxBodyBytes?`,
  );
  expect((await account.call("POST", "/v1/sessions", { tag: "t", metadata: "x" })).status).toBe(200);
  expect((await server.end()).code).toBe(0);
}, 30_000);

test("a changed file is followed without being told, also one that was not there before", async () => {
  const server = await serving("--log-level", "info");
  replace("data/roost.yaml", "maxBodyBytes: 2000\n");
  await server.printed(/"settings":(\["maxBodyBytes"\]),"msg":"changed settings are in effect"/);
  expect((await server.end()).code).toBe(0);
}, 30_000);

/** The name in the certificate that a new connection is shown. */
const shown = (url: string) =>
  new Promise<string>((resolve, reject) => {
    const { port } = new URL(url);
    const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.end();
    });
    socket.once("error", reject);
  });

test("a renewed certificate is shown to new connections, and those that are open stay open", async () => {
  const use = (name: string, part: "crt" | "key") =>
    copyFileSync(join(import.meta.dir, `fixtures/tls/${name}.${part}`), file(`tls.${part}`));
  use("first", "crt");
  use("first", "key");
  const server = await serving("--tls-cert", "tls.crt", "--tls-key", "tls.key");
  expect(server.url).toStartWith("https://");
  expect(await shown(server.url)).toBe("first");
  expect((await folder.run([...roostCommand(), "health"])).code).toBe(0);
  const socket = new WebSocket(
    `${server.url.replace("https", "wss")}/v1/updates/?EIO=4&transport=websocket`,
    {
      tls: { rejectUnauthorized: false },
    } as unknown as string[],
  );
  const closed = Promise.withResolvers<string>();
  socket.onclose = () => closed.resolve("closed");
  await new Promise((resolve) => {
    socket.onmessage = resolve;
  });

  use("renewed", "crt");
  server.signal("SIGHUP");
  await server.printed(/does not belong to the certificate in tls.crt/);
  expect(await shown(server.url)).toBe("first");
  use("renewed", "key");
  server.signal("SIGHUP");
  await server.printed(/"names":"DNS:renewed\.test.*the certificate in use/);
  expect(await shown(server.url)).toBe("renewed");

  const answered = new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data);
  });
  socket.send('40{"token":"not one"}');
  expect(String(await Promise.race([answered, closed.promise]))).toStartWith("4");
  expect((await server.end()).code).toBe(0);
}, 30_000);

test("roost health knows a server by its data folder, and says why when it is not well", async () => {
  const server = await serving();
  expect(await folder.run([...roostCommand(), "health"])).toEqual({ code: 0, stdout: "", stderr: "" });
  expect((await folder.run([...roostCommand(), "health", "--data-dir", "data"])).code).toBe(0);
  await server.end();
  const { code, stderr } = await folder.run([...roostCommand(), "health", "--port", "1"]);
  expect(stderr).toBe("roost: The server at http://127.0.0.1:1 is not well: it does not answer.\n");
  expect(code).toBe(1);
  const waiting = folder.start([...roostCommand(), "health", "--wait", "20"]);
  const again = await serving();
  expect((await waiting.finished()).code).toBe(0);
  await again.end();
}, 30_000);
