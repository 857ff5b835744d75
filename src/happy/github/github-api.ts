// GitHub, as far as Roost needs it: where a sign-in begins, what a code is worth, who signed in (HTTP contract 13.1, 13.2).
import { z } from "zod";
import { callService, ServiceError, serviceUrl } from "../../http/service-call.ts";
import type { HappyConfig } from "../settings.ts";
import { type GithubProfile, githubProfileSchema } from "../wire/profile.ts";

const SCOPE = "read:user,user:email,read:org,codespace";
const MAX_AVATAR_BYTES = 10 * 1024 * 1024;
/** GitHub refuses requests without one. */
const USER_AGENT = { "user-agent": "roost" };

export interface OAuthApp {
  readonly clientId: string;
  readonly clientSecret: string;
}

export function authorizeUrl(
  { happyGithubUrl: githubUrl }: Pick<HappyConfig, "happyGithubUrl">,
  clientId: string,
  redirectUrl: string,
  state: string,
): string {
  return serviceUrl(githubUrl, "/login/oauth/authorize", {
    client_id: clientId,
    redirect_uri: redirectUrl,
    scope: SCOPE,
    state,
  });
}

export type Exchange = { readonly accessToken: string } | { readonly refusal: string };

/** GitHub answers a refusal with status 200. @throws ServiceError, or the error of the network. */
export async function exchangeCode(
  { happyGithubUrl: githubUrl }: Pick<HappyConfig, "happyGithubUrl">,
  { clientId, clientSecret }: OAuthApp,
  code: string,
): Promise<Exchange> {
  const answer = await callService(serviceUrl(githubUrl, "/login/oauth/access_token"), {
    method: "POST",
    headers: { ...USER_AGENT, accept: "application/json" },
    json: { client_id: clientId, client_secret: clientSecret, code },
  });
  const { error, access_token: accessToken } = answer.json(
    z.object({ error: z.string().optional(), access_token: z.string().optional() }),
  );
  if (error) return { refusal: error };
  if (!accessToken) throw new ServiceError(`GitHub answered ${answer.status} without a token`);
  return { accessToken };
}

/** Undefined when GitHub refuses to say. @throws ServiceError, or the error of the network. */
export async function fetchUser(
  { happyGithubApiUrl: githubApiUrl }: Pick<HappyConfig, "happyGithubApiUrl">,
  accessToken: string,
): Promise<GithubProfile | undefined> {
  const answer = await callService(serviceUrl(githubApiUrl, "/user"), {
    headers: {
      ...USER_AGENT,
      accept: "application/vnd.github.v3+json",
      authorization: `Bearer ${accessToken}`,
    },
  });
  return answer.ok ? answer.json(githubProfileSchema) : undefined;
}

/** @throws ServiceError, or the error of the network. */
export async function fetchAvatar(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await callService(url, {
    headers: USER_AGENT,
    maxBytes: MAX_AVATAR_BYTES,
    followRedirects: true,
  });
  if (!answer.ok) throw new ServiceError(`the avatar's host answered ${answer.status}`);
  return answer.bytes;
}
