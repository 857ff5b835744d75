// Where a website's content comes from, and its HTTPS settings: which fields belong together, pure (topics contract, 5.1 and 5.2).
// They are kept and shown; no origin and no certificate is ever looked at (contract, section 1).
import { badFormat, missingParameter } from "./problem.ts";

export interface Origin {
  readonly originMode: "group" | "manual" | "redirect";
  readonly originGroupId: number | null;
  readonly originSetId: number | null;
  /** JSON text. */
  readonly originAddresses: string | null;
  readonly redirectUrl: string;
  readonly redirectStatusCode: number;
}

/** Absent means unchanged. */
export interface OriginInput {
  readonly mode?: Origin["originMode"] | undefined;
  readonly groupId?: number | null | undefined;
  readonly setId?: number | null | undefined;
  readonly addresses?: readonly unknown[] | undefined;
  readonly redirectUrl?: string | undefined;
  readonly redirectStatusCode?: number | undefined;
}

const BLANK = {
  originGroupId: null,
  originSetId: null,
  originAddresses: null,
  redirectUrl: "",
  redirectStatusCode: 0,
};

/** The origin after `input`. A change of mode starts from nothing. @throws Problem 2001 or 2002 */
export function originAfter(before: Origin | undefined, input: OriginInput): Origin {
  const originMode = input.mode ?? before?.originMode;
  if (originMode === undefined) throw badFormat("origin_mode: required");
  const base = before?.originMode === originMode ? before : BLANK;
  const originSetId = input.setId === undefined ? base.originSetId : input.setId || null;
  if (originMode === "group") {
    const originGroupId = input.groupId === undefined ? base.originGroupId : input.groupId;
    if (originGroupId === null || originGroupId <= 0) throw missingParameter("origin_group_id: required");
    return { ...BLANK, originMode, originGroupId, originSetId };
  }
  if (originMode === "manual") {
    const addresses = input.addresses?.length ? JSON.stringify(input.addresses) : null;
    const originAddresses = input.addresses === undefined ? base.originAddresses : addresses;
    if (originAddresses === null && originSetId === null) {
      throw missingParameter("origin_addresses: at least one is needed, or origin_set_id");
    }
    return { ...BLANK, originMode, originSetId, originAddresses };
  }
  const redirectUrl = input.redirectUrl ?? base.redirectUrl;
  if (redirectUrl === "") throw missingParameter("redirect_url: required");
  const redirectStatusCode = input.redirectStatusCode ?? (base.redirectStatusCode || 301);
  if (redirectStatusCode !== 301 && redirectStatusCode !== 302) {
    throw badFormat("redirect_status_code: must be 301 or 302");
  }
  return { ...BLANK, originMode, redirectUrl, redirectStatusCode };
}

export interface Https {
  readonly enabled: boolean;
  readonly forceRedirect: boolean;
  readonly hsts: boolean;
  readonly certMode: "select" | "acme";
  readonly certificateId: number | null;
  readonly acmeProviderId: number | null;
  readonly acmeAccountId: number | null;
}

export interface HttpsInput extends Partial<{ [K in keyof Https]: Https[K] | undefined }> {
  /** Given as an object, which can name a certificate: then an enabled one must. The two flat switches cannot. */
  readonly complete: boolean;
}

const NO_HTTPS: Https = {
  enabled: false,
  forceRedirect: false,
  hsts: false,
  certMode: "acme",
  certificateId: null,
  acmeProviderId: null,
  acmeAccountId: null,
};

/** @throws Problem 2001 when it is enabled without what its certificate needs. */
export function httpsAfter(before: Https | undefined, { complete, ...input }: HttpsInput): Https {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const https: Https = { ...NO_HTTPS, ...before, ...given };
  if (!complete || !https.enabled) return https;
  if (https.certMode === "select" && https.certificateId === null) {
    throw missingParameter("https.certificate_id: required");
  }
  if (https.certMode === "acme" && https.acmeProviderId === null && https.acmeAccountId === null) {
    throw missingParameter("https.acme_provider_id or https.acme_account_id: required");
  }
  return https;
}
