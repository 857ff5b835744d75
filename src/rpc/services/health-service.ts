// HealthService (contract 14): how this room is, asked once or watched. What an unknown name is, is unknown, and no error.
import { z } from "zod";
import type { Data, MethodDefinition } from "../registry/definition.ts";
import { zodParams } from "../registry/params.ts";
import type { Health, HealthSource } from "./health.ts";

const params = zodParams(z.object({ service: z.string().max(256).nullish() }));

/** A change shows in a watcher's stream at most so much later. */
const LOOK_MS = 500;

export function healthService(health: HealthSource): readonly MethodDefinition[] {
  const asked = (data: Data): string | undefined => (data?.service as string | null | undefined) || undefined;
  const common = {
    service: "HealthService",
    source: "builtin",
    isOpen: true,
    idempotent: true,
    params,
  } as const;
  return [
    {
      ...common,
      handler: "Check",
      description: "how the services are, or one of them",
      run: (data, { tenant_id }) => health.of(tenant_id, asked(data)),
    },
    {
      ...common,
      handler: "Watch",
      description: "as Check, and again at each change",
      streamingOutput: true,
      run: (data, { tenant_id, signal }) => watch(() => health.of(tenant_id, asked(data)), signal),
    },
  ];
}

async function* watch(look: () => Promise<Health>, signal: AbortSignal): AsyncGenerator<Health> {
  let last: Health | undefined;
  while (!signal.aborted) {
    const now = await look();
    if (last === undefined || !Bun.deepEquals(now, last)) yield now;
    last = now;
    await pause(signal);
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, LOOK_MS);
    signal.addEventListener("abort", over, { once: true });
  });
}
