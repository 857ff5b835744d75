// A real nginx as a process of its own, with a configuration of the test's own making. Nothing of it is left after `stop`.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { needs } from "./needs.ts";

const PLACES = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];

const binary = Bun.which("nginx") ?? PLACES.find((path) => existsSync(path));

/** For suites that need it. */
export const withNginx = needs.program("nginx", () => binary);

export interface Nginx {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

export interface NginxConfig {
  /** Directives of the `server` block, with its locations. */
  readonly server: string;
  /** PEM files; with them it speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

const BOUND_MS = 10_000;

/** Resolves when it accepts connections. @throws Error with nginx's own words. */
export async function startNginx({ server, tls }: NginxConfig): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), "roost-nginx-"));
  const port = freePort();
  const secure =
    tls === undefined
      ? ""
      : `ssl_certificate "${tls.cert}"; ssl_certificate_key "${tls.key}"; ssl_session_cache off;`;
  const bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join("\n");
  const path = join(folder, "nginx.conf");
  writeFileSync(
    path,
    `${process.getuid?.() === 0 ? "user root;" : ""}
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 256; }
http {
  access_log off;
  ${bodies}
  server { listen 127.0.0.1:${port}${tls === undefined ? "" : " ssl"}; ${secure}
${server}
  }
}
`,
  );
  const child = Bun.spawn([binary ?? "nginx", "-p", folder, "-c", path], {
    stdout: "ignore",
    stderr: "pipe",
  });
  const stop = async () => {
    child.kill("SIGQUIT");
    const timer = setTimeout(() => child.kill("SIGTERM"), 1_000);
    await child.exited;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
  };
  const until = Date.now() + BOUND_MS;
  for (;;) {
    if (child.exitCode !== null) {
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`nginx ended: ${await child.stderr.text()}`);
    }
    // It writes this when it has its port: what accepts before may be another program that took it meanwhile.
    if (existsSync(join(folder, "nginx.pid")))
      return { port, url: `http${tls === undefined ? "" : "s"}://127.0.0.1:${port}`, stop };
    if (Date.now() > until) {
      await stop();
      throw new Error("nginx did not come up");
    }
    await Bun.sleep(20);
  }
}
