// A small HTTP server that answers as the open API v1 of Nacos is described to (contract 16), and, when told to, as it should not. It was
// written from that description, and was never compared with a real Nacos.
import { createHash } from "node:crypto";

export type Behaviour = "well" | "500" | "silent" | "endless" | "hasty";

export interface NacosOptions {
  readonly user?: { readonly name: string; readonly password: string };
  readonly namespace?: string;
}

export interface Nacos {
  /** host:port. */
  readonly address: string;
  /** Requests that wait for a change. */
  readonly waiting: number;
  /** All requests. */
  readonly asked: number;
  readonly logins: number;
  /** What was listened for. */
  readonly listened: readonly string[];
  set(content: string | undefined): void;
  /** Ends what waits. */
  behave(how: Behaviour): void;
  endTokens(): void;
  stop(): Promise<void>;
}

export function nacosServer({ user, namespace }: NacosOptions = {}): Nacos {
  let content: string | undefined;
  let how: Behaviour = "well";
  let token = crypto.randomUUID();
  let logins = 0;
  let asked = 0;
  const listened: string[] = [];
  const waiting = new Set<() => void>();
  const md5 = () => (content === undefined ? "" : createHash("md5").update(content).digest("hex"));
  const wake = () => {
    for (const one of [...waiting]) one();
  };

  const badly = (): Response | Promise<Response> | undefined => {
    if (how === "500") return new Response("oops", { status: 500 });
    if (how === "silent")
      return new Promise((resolve) => {
        const done = () => {
          waiting.delete(done);
          resolve(new Response(null, { status: 500 }));
        };
        waiting.add(done);
      });
    if (how === "endless")
      return new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)) }),
      );
    return undefined;
  };

  const listen = async (form: URLSearchParams, pollMs: number): Promise<Response> => {
    const line = form.get("Listening-Configs") ?? "";
    listened.push(line);
    const [dataId, group, known, tenant] = line.slice(0, -1).split("\u0002");
    const changed = () => new Response(encodeURIComponent(`${dataId}\u0002${group}\u0001`));
    if (how === "hasty") return changed();
    if (tenant !== namespace) return new Response("", { status: 400 });
    if (known !== md5()) return changed();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => done(), pollMs);
      const done = () => {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      };
      waiting.add(done);
    });
    return known === md5() ? (badly() ?? new Response("")) : changed();
  };

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      asked++;
      const { pathname, searchParams } = new URL(request.url);
      const form = new URLSearchParams(request.method === "POST" ? await request.text() : "");
      const bad = badly();
      if (bad !== undefined) return bad;
      if (pathname === "/nacos/v1/auth/login") {
        logins++;
        const isRight = form.get("username") === user?.name && form.get("password") === user?.password;
        return isRight
          ? Response.json({ accessToken: token, tokenTtl: 18_000 })
          : new Response("unknown user!", { status: 403 });
      }
      if (user !== undefined && searchParams.get("accessToken") !== token)
        return new Response("token invalid!", { status: 403 });
      if (pathname === "/nacos/v1/cs/configs/listener")
        return listen(form, Number(request.headers.get("long-pulling-timeout")));
      if (pathname !== "/nacos/v1/cs/configs" || (searchParams.get("tenant") ?? undefined) !== namespace)
        return new Response("not here", { status: 400 });
      return content === undefined
        ? new Response("config data not exist", { status: 404 })
        : new Response(content);
    },
  });
  return {
    address: `127.0.0.1:${server.port}`,
    get waiting() {
      return waiting.size;
    },
    get asked() {
      return asked;
    },
    get logins() {
      return logins;
    },
    listened,
    set: (next) => {
      content = next;
      wake();
    },
    behave: (next) => {
      how = next;
      wake();
    },
    endTokens: () => {
      token = crypto.randomUUID();
    },
    stop: () => server.stop(true),
  };
}
