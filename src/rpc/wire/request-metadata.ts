// Metadata of a request (contract 9.1): who asks, for which tenant, and in which form the answer is wanted.
import {
  absent,
  type Fields,
  isSafeInteger,
  type MapBound,
  objectField,
  type Problems,
  textField,
  textList,
  textMap,
} from "./problems.ts";

export type AuthScheme = "bearer" | "api_key" | "mtls";

export interface Auth {
  readonly scheme: AuthScheme | undefined;
  /** Leaves the authenticator never. */
  readonly credentials: string | undefined;
  readonly principal: string | undefined;
  readonly principalType: string | undefined;
  readonly roles: readonly string[] | undefined;
}

export interface LongTask {
  readonly method: string | undefined;
  /** Retention of the result, in seconds. */
  readonly timeoutS: number | undefined;
}

export interface RequestMetadata {
  readonly timestampMs: number;
  readonly clientId: string | undefined;
  readonly clientVersion: string | undefined;
  readonly auth: Auth | undefined;
  readonly tenantId: string | undefined;
  readonly contentType: string | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly longTask: LongTask | undefined;
}

/** Contract 3.6. */
const HEADERS_BOUND: MapBound = { entries: 64, key: 128, value: 4_096 };
const MAX_CLIENT = 256;
const MAX_CREDENTIALS = 16 * 1024;
const TENANT = /^[A-Za-z0-9._:-]{1,128}$/;

export const isTenant = (text: string): boolean => TENANT.test(text);

/** `accept` and `compression` are read where the form of the answer is chosen, before this. */
export function requestMetadata(problems: Problems, from: Fields): RequestMetadata {
  const { timestamp_ms } = from;
  if (absent(timestamp_ms)) problems.missing("metadata.timestamp_ms");
  else if (!isSafeInteger(timestamp_ms)) problems.shape("metadata.timestamp_ms", "must be a whole number");
  const auth = objectField(problems, from, "auth", "metadata.auth");
  const client = { max: MAX_CLIENT };
  return {
    timestampMs: isSafeInteger(timestamp_ms) ? timestamp_ms : 0,
    clientId: textField(problems, from, "client_id", "metadata.client_id", client),
    clientVersion: textField(problems, from, "client_version", "metadata.client_version", client),
    auth: auth === undefined ? undefined : authOf(problems, auth),
    tenantId: tenant(problems, from),
    contentType: textField(problems, from, "content_type", "metadata.content_type", client),
    headers: textMap(problems, from, "headers", "metadata.headers", HEADERS_BOUND),
    longTask: longTask(problems, from),
  };
}

function tenant(problems: Problems, from: Fields): string | undefined {
  const text = textField(problems, from, "tenant_id", "metadata.tenant_id");
  if (text === undefined || isTenant(text)) return text;
  return problems.value(
    "metadata.tenant_id",
    "must have 1 to 128 letters, digits, dots, underscores, hyphens or colons",
  );
}

function authOf(problems: Problems, from: Fields): Auth {
  const scheme = textField(problems, from, "scheme", "metadata.auth.scheme");
  const known = scheme === "bearer" || scheme === "api_key" || scheme === "mtls" ? scheme : undefined;
  if (scheme !== undefined && scheme !== "unspecified" && known === undefined)
    problems.value("metadata.auth.scheme", "must be bearer, api_key or mtls");
  const name = { max: MAX_CLIENT };
  return {
    scheme: known,
    credentials: textField(problems, from, "credentials", "metadata.auth.credentials", {
      max: MAX_CREDENTIALS,
    }),
    principal: textField(problems, from, "principal", "metadata.auth.principal", name),
    principalType: textField(problems, from, "principal_type", "metadata.auth.principal_type", name),
    roles: textList(problems, from, "roles", "metadata.auth.roles", { items: 64, chars: 128 }),
  };
}

function longTask(problems: Problems, from: Fields): LongTask | undefined {
  const { long_task, long_task_timeout } = from;
  if (!absent(long_task) && typeof long_task !== "boolean")
    return problems.shape("metadata.long_task", "must be true or false");
  const method = textField(problems, from, "long_task_method", "metadata.long_task_method", { max: 64 });
  if (!absent(long_task_timeout) && !isSafeInteger(long_task_timeout))
    return problems.shape("metadata.long_task_timeout", "must be a whole number of seconds");
  return long_task === true ? { method, timeoutS: long_task_timeout ?? undefined } : undefined;
}
