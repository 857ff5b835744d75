// Vendor tokens: registered, read back, deleted, listed (HTTP contract 13.5 to 13.8), and what is connected at all (17). At rest they
// are sealed under the key tree; one sealed with another master secret counts as none, so that its owner connects again.
import { z } from "zod";
import { keyAt, open, seal } from "../auth/key-tree.ts";
import type { HappyContext } from "../context.ts";
import { readGithubProfile, VENDORS } from "../wire/profile.ts";
import { type Endpoint, endpoint, json } from "./kit/endpoint.ts";

const params = z.object({ vendor: z.enum(VENDORS) });

/** Data contract, section 6. */
async function keyOf(context: HappyContext, account: string, vendor: string): Promise<Uint8Array> {
  return keyAt(await context.keys.treeMaster(), ["user", account, "vendors", vendor, "token"]);
}

async function unsealed(context: HappyContext, account: string, vendor: string, sealed: Uint8Array) {
  try {
    return open(await keyOf(context, account, vendor), sealed);
  } catch (error) {
    context.log.warn(
      { account, vendor, err: error },
      "a vendor token cannot be opened with this master secret",
    );
    return null;
  }
}

const register = endpoint(
  {
    method: "POST",
    path: "/v1/connect/:vendor/register",
    auth: "bearer",
    params,
    body: z.object({ token: z.string() }),
  },
  async ({ context, account, params: { vendor }, body: { token } }) => {
    const sealed = seal(await keyOf(context, account, vendor), token);
    await context.store.putVendorToken(account, vendor, sealed);
    return json({ success: true });
  },
);

const read = endpoint(
  { method: "GET", path: "/v1/connect/:vendor/token", auth: "bearer", params },
  async ({ context, account, params: { vendor } }) => {
    const sealed = await context.store.findVendorToken(account, vendor);
    return json({ token: sealed === undefined ? null : await unsealed(context, account, vendor, sealed) });
  },
);

/** Fix 20.3: also where there is none, because the app would try again for ever. */
const remove = endpoint(
  { method: "DELETE", path: "/v1/connect/:vendor", auth: "bearer", params },
  async ({ context, account, params: { vendor } }) => {
    await context.store.deleteVendorToken(account, vendor);
    return json({ success: true });
  },
);

const list = endpoint(
  { method: "GET", path: "/v1/connect/tokens", auth: "bearer" },
  async ({ context, account }) => {
    const tokens: { vendor: string; token: string }[] = [];
    for (const { vendor, token: sealed } of await context.store.listVendorTokens(account)) {
      const token = await unsealed(context, account, vendor, sealed);
      if (token !== null) tokens.push({ vendor, token });
    }
    return json({ tokens });
  },
);

const overview = endpoint(
  { method: "GET", path: "/v1/connect", auth: "bearer" },
  async ({ context, account }) => {
    const { store } = context;
    const [github, tokens] = await Promise.all([
      store.connectedGithub(account),
      store.listVendorTokens(account),
    ]);
    const login = readGithubProfile(github?.profile ?? null)?.login ?? null;
    const vendors = tokens.map(({ vendor }) => vendor);
    return json({ github: { connected: github !== undefined, login }, vendors });
  },
);

export const connectVendorEndpoints: readonly Endpoint[] = [register, read, remove, list, overview];
