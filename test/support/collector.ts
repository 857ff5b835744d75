// A collector of spans as OTLP describes it, in JSON over HTTP, and, when told to, one as it should not be.
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
}

export type CollectorMood = "well" | "503" | "400" | "silent" | "talkative";

export interface Collector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** How many each request that it took had. */
  readonly batches: readonly number[];
  readonly asked: number;
  readonly headers: readonly Headers[];
  readonly resources: readonly Record<string, string>[];
  behave(how: CollectorMood): void;
  stop(): Promise<void>;
}

export function collector(): Collector {
  const spans: CollectedSpan[] = [];
  const batches: number[] = [];
  const headers: Headers[] = [];
  const resources: Record<string, string>[] = [];
  let how: CollectorMood = "well";
  let asked = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      asked++;
      // biome-ignore lint/suspicious/noExplicitAny: the message is looked at field by field
      const message = (await request.json()) as any;
      if (new URL(request.url).pathname !== "/v1/traces") return new Response(null, { status: 404 });
      if (how === "silent") return new Promise<Response>(() => {});
      if (how === "talkative") return new Response(new Uint8Array(1024 * 1024));
      if (how !== "well") return new Response("secret of the collector", { status: Number(how) });
      headers.push(request.headers);
      for (const { resource, scopeSpans } of message.resourceSpans) {
        const facts = resource.attributes as { key: string; value: { stringValue: string } }[];
        resources.push(Object.fromEntries(facts.map(({ key, value }) => [key, value.stringValue])));
        for (const scope of scopeSpans) {
          spans.push(...scope.spans);
          batches.push(scope.spans.length);
        }
      }
      return Response.json({});
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    batches,
    headers,
    resources,
    get asked() {
      return asked;
    },
    behave: (next) => {
      how = next;
    },
    stop: () => server.stop(true),
  };
}
