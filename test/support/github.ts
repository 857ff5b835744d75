// GitHub as far as Roost talks to it, on one local port: the sign-in page, the code exchange (refusals with status 200, as GitHub's),
// the user, the avatars. A code is good once.

export interface GithubUser {
  id: number;
  login: string;
  name: string | null;
  email: string | null;
  bio: string | null;
  /** Path on this server, such as `/avatars/1`, or a whole address. */
  avatar_url: string;
  [field: string]: unknown;
}

export interface FakeGithub {
  readonly url: string;
  /** Paths that were asked, in order. */
  readonly asked: string[];
  /** Pictures by path. */
  readonly pictures: Map<string, { bytes: Uint8Array<ArrayBuffer>; type: string }>;
  /** Answers of these paths are this status instead. */
  readonly broken: Map<string, number>;
  /** What a person does on the sign-in page: the address of GitHub's redirect back. */
  signIn(authorizeUrl: string, user: GithubUser): Promise<URL>;
  stop(): Promise<void>;
}

export const CLIENT_ID = "client-id";
export const CLIENT_SECRET = "client-secret";

export function fakeGithub(): FakeGithub {
  const asked: string[] = [];
  const pictures: FakeGithub["pictures"] = new Map();
  const broken = new Map<string, number>();
  const codes = new Map<string, GithubUser>();
  const tokens = new Map<string, GithubUser>();
  let signsIn: GithubUser | undefined;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      asked.push(`${request.method} ${url.pathname}`);
      const status = broken.get(url.pathname);
      if (status !== undefined) return Response.json({ message: "broken" }, { status });
      if (request.headers.get("user-agent") === null) return new Response("no user agent", { status: 403 });
      const picture = pictures.get(url.pathname);
      if (picture !== undefined) {
        return new Response(picture.bytes, { headers: { "content-type": picture.type } });
      }
      switch (`${request.method} ${url.pathname}`) {
        case "GET /login/oauth/authorize": {
          const redirect = url.searchParams.get("redirect_uri");
          if (url.searchParams.get("client_id") !== CLIENT_ID || redirect === null || signsIn === undefined)
            return new Response("unknown application", { status: 404 });
          const code = crypto.randomUUID();
          codes.set(code, signsIn);
          const back = new URL(redirect);
          back.searchParams.set("code", code);
          back.searchParams.set("state", url.searchParams.get("state") ?? "");
          return Response.redirect(back.href, 302);
        }
        case "POST /login/oauth/access_token": {
          const form = (await request.json()) as Record<string, string>;
          if (request.headers.get("accept") !== "application/json") return new Response("error=form");
          if (form.client_id !== CLIENT_ID || form.client_secret !== CLIENT_SECRET) {
            return Response.json({ error: "incorrect_client_credentials" });
          }
          const user = codes.get(form.code ?? "");
          codes.delete(form.code ?? "");
          if (user === undefined) {
            return Response.json({ error: "bad_verification_code", error_description: "expired" });
          }
          const token = `gho_${crypto.randomUUID()}`;
          tokens.set(token, user);
          return Response.json({ access_token: token, token_type: "bearer", scope: "read:user" });
        }
        case "GET /user": {
          const user = tokens.get(request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "");
          if (user === undefined) return Response.json({ message: "Bad credentials" }, { status: 401 });
          return Response.json({ ...user, avatar_url: new URL(user.avatar_url, url.origin).href });
        }
        default:
          return Response.json({ message: "Not Found" }, { status: 404 });
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    pictures,
    broken,
    signIn: async (authorizeUrl, user) => {
      signsIn = user;
      const response = await fetch(authorizeUrl, { redirect: "manual" });
      return new URL(response.headers.get("location") ?? "");
    },
    stop: () => server.stop(true),
  };
}
