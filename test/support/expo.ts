// A small server that behaves like the Expo push service: tickets for known devices, DeviceNotRegistered for the rest, receipts when
// they are ready, 400 for what Expo refuses as a whole. It keeps every request, and can be told to break in the ways that services break.
export interface ExpoRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly body: any;
}

/** Instead of Expo's answer: a status, a raw body, no answer at all, or the right answer only after something else. */
export type Breakage =
  | { status: number; headers?: Record<string, string>; raw?: string }
  | { raw: string }
  | { silent: true }
  | { after: Promise<unknown> };

export interface ExpoService {
  readonly url: string;
  readonly requests: ExpoRequest[];
  /** Tokens of devices that are there. */
  readonly devices: Set<string>;
  /** Devices of other projects than the rest: Expo takes one project a request, and says who belongs where unless it is told not to. */
  readonly projects: Map<string, string>;
  saysProjects: boolean;
  /** Devices and tickets with which Expo refuses a whole request. */
  readonly refused: Set<string>;
  /** Receipts that are ready, by ticket. */
  readonly receipts: Map<string, unknown>;
  /** Ticket ids in the order given out. */
  readonly tickets: string[];
  broken: Breakage | undefined;
  /** Breaks the next requests, one each; afterwards `broken` holds. */
  readonly breaks: Breakage[];
  stop(): Promise<void>;
}

const MAX_MESSAGES = 100;
const MAX_IDS = 1_000;

export function expoService(): ExpoService {
  const requests: ExpoRequest[] = [];
  const devices = new Set<string>();
  const receipts = new Map<string, unknown>();
  const tickets: string[] = [];

  const refuse = (code: string, details?: unknown) =>
    Response.json({ errors: [{ code, message: code, details }] }, { status: 400 });

  /** As Expo documents it: token lists by project. */
  const mixed = (tokens: readonly string[]): Response | undefined => {
    const projects = new Map<string, string[]>();
    for (const token of tokens) {
      const project = service.projects.get(token) ?? "@happy/app";
      projects.set(project, [...(projects.get(project) ?? []), token]);
    }
    if (projects.size < 2) return undefined;
    const details = service.saysProjects ? Object.fromEntries(projects) : undefined;
    return refuse("PUSH_TOO_MANY_EXPERIENCE_IDS", details);
  };

  const send = (messages: unknown): Response => {
    if (!Array.isArray(messages)) return refuse("VALIDATION_ERROR");
    if (messages.length > MAX_MESSAGES) return refuse("PUSH_TOO_MANY_NOTIFICATIONS");
    const tokens = messages.map(({ to }: { to: string }) => to);
    if (tokens.some((token) => service.refused.has(token))) return refuse("VALIDATION_ERROR");
    const problem = mixed(tokens);
    if (problem !== undefined) return problem;
    return Response.json({
      data: messages.map(({ to }: { to: string }) => {
        if (!devices.has(to)) {
          const message = `"${to}" is not a registered push notification recipient`;
          return { status: "error", message, details: { error: "DeviceNotRegistered", expoPushToken: to } };
        }
        const id = crypto.randomUUID();
        tickets.push(id);
        return { status: "ok", id };
      }),
    });
  };

  const read = (body: { ids?: unknown }): Response => {
    if (!Array.isArray(body?.ids)) return refuse("VALIDATION_ERROR");
    if (body.ids.length > MAX_IDS) return refuse("PUSH_TOO_MANY_RECEIPTS");
    if (body.ids.some((id) => service.refused.has(id))) return refuse("VALIDATION_ERROR");
    const ready = (body.ids as string[]).filter((id) => receipts.has(id));
    return Response.json({ data: Object.fromEntries(ready.map((id) => [id, receipts.get(id)])) });
  };

  const service: ExpoService = {
    get url() {
      return `http://127.0.0.1:${server.port}`;
    },
    requests,
    devices,
    projects: new Map(),
    saysProjects: true,
    refused: new Set(),
    receipts,
    tickets,
    broken: undefined,
    breaks: [],
    stop: () => server.stop(true),
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      const body: unknown = await request.json();
      requests.push({ path, headers: Object.fromEntries(request.headers), body });
      const broken = service.breaks.shift() ?? service.broken;
      if (broken !== undefined && "silent" in broken) return new Promise<Response>(() => {});
      if (broken !== undefined && "after" in broken) await broken.after;
      else if (broken !== undefined) return new Response(broken.raw ?? "broken", broken as ResponseInit);
      if (request.method !== "POST") return new Response("Not Found", { status: 404 });
      if (path === "/--/api/v2/push/send") return send(body);
      if (path === "/--/api/v2/push/getReceipts") return read(body as { ids?: unknown });
      return new Response("Not Found", { status: 404 });
    },
  });
  return service;
}
