// What of voice is possible now, by which keys there are: the owner may set one while the server runs.
import type { HapiConfig } from "../settings.ts";
import type { Credentials } from "./credentials.ts";
import { BACKENDS, PROVIDERS, type Provider } from "./services.ts";

export class Voice {
  constructor(
    readonly credentials: Credentials,
    private readonly config: Pick<HapiConfig, "hapiVoiceBackend">,
  ) {}

  /** Services that a person can talk to, in the order in which web clients list them. */
  get backends(): string[] {
    return BACKENDS.filter(({ credential }) => this.credentials.value(credential) !== undefined).map(
      ({ id }) => id,
    );
  }

  /** The one that web clients take by themselves. */
  get backend(): string | undefined {
    const { backends } = this;
    const { hapiVoiceBackend: wanted } = this.config;
    return wanted !== undefined && backends.includes(wanted) ? wanted : backends[0];
  }

  /** Services that write down what was said. */
  get providers(): Provider[] {
    return PROVIDERS.filter((provider) => this.isConfigured(provider));
  }

  isConfigured({ needs }: Pick<Provider, "needs">): boolean {
    return needs.every((name) => this.credentials.value(name) !== undefined);
  }
}

/** A sentence where the wanted one is none that there is. */
export function backendProblem(wanted: string | undefined): string | undefined {
  const ids = BACKENDS.map(({ id }) => id);
  if (wanted === undefined || ids.includes(wanted)) return undefined;
  return `hapiVoiceBackend names no voice service that there is (${ids.join(", ")}): the first that has a key is taken`;
}
