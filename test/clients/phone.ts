// A phone: what the Happy app does against a server, over HTTP and one Socket.IO connection, with its own keys. Small on purpose and
// free of any knowledge about the tests that use it. It is as strict as the app: what the app would drop lands in `rejected`.

import { io, type Socket } from "socket.io-client";
import nacl from "tweetnacl";
import type { z } from "zod";
import { until } from "../support/until.ts";
import {
  base64,
  type Cipher,
  contentKeyPair,
  dataKeyCipher,
  fromBase64,
  legacyCipher,
  openSealed,
  sealFor,
} from "./encryption.ts";
import { Recorder } from "./recorder.ts";
import {
  answers,
  type Ephemeral,
  type MachineRow,
  type MessageRow,
  parseEphemeral,
  parseUpdate,
  rpcAck,
  type SessionRow,
  tokenClaims,
  type Update,
} from "./wire.ts";

/** The app waits for an RPC without a bound; the server's own bounds (15 s, then 30 s) end it. */
const rpcBoundMs = 60_000;

export class Phone {
  readonly updates = new Recorder<Update>();
  readonly ephemerals = new Recorder<Ephemeral>();
  /** Events that a real app would have dropped, each with the reason. */
  readonly rejected: string[] = [];
  readonly contentKeys: nacl.BoxKeyPair;
  #socket: Socket | undefined;

  private constructor(
    readonly server: string,
    readonly secret: Uint8Array,
    readonly token: string,
  ) {
    this.contentKeys = contentKeyPair(secret);
  }

  /** Signs in with an account secret; the account is created on first sight of its key (HTTP contract 2.3, 4.1). */
  static async signIn(server: string, secret = nacl.randomBytes(32)): Promise<Phone> {
    const keys = nacl.sign.keyPair.fromSeed(secret);
    const challenge = nacl.randomBytes(32);
    const proof = {
      publicKey: base64(keys.publicKey),
      challenge: base64(challenge),
      signature: base64(nacl.sign.detached(challenge, keys.secretKey)),
    };
    const reply = await fetch(`${server}/v1/auth`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(proof),
    });
    if (!reply.ok) throw new Error(`POST /v1/auth answered ${reply.status}: ${await reply.text()}`);
    return new Phone(server, secret, answers.token.parse(await reply.json()).token);
  }

  /** The account id, read from the token the way the app reads it (2.2). */
  get accountId(): string {
    return tokenClaims(this.token).sub;
  }

  /** One authenticated call. @throws Error with status and body unless the answer is 2xx. */
  async call<T>(
    schema: z.ZodType<T>,
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: unknown,
  ): Promise<T> {
    const reply = await fetch(`${this.server}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        "x-happy-client": "web/1.7.0",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path} answered ${reply.status}: ${text}`);
    return schema.parse(JSON.parse(text));
  }

  // Pairing (2.4)

  async pairingStatus(terminalKey: Uint8Array): Promise<z.infer<typeof answers.pairingStatus>> {
    const query = new URLSearchParams({ publicKey: base64(terminalKey) });
    return this.call(answers.pairingStatus, "GET", `/v1/auth/request/status?${query}`);
  }

  /** `v2` hands out the content public key, `v1` the account secret itself. */
  async approveTerminal(terminalKey: Uint8Array, bundle: "v1" | "v2"): Promise<void> {
    const plain = bundle === "v1" ? this.secret : new Uint8Array([0, ...this.contentKeys.publicKey]);
    const body = { publicKey: base64(terminalKey), response: base64(sealFor(terminalKey, plain)) };
    await this.call(answers.success, "POST", "/v1/auth/response", body);
  }

  // Lists

  async sessions(): Promise<SessionRow[]> {
    return (await this.call(answers.sessions, "GET", "/v1/sessions")).sessions;
  }

  async machines(): Promise<MachineRow[]> {
    return this.call(answers.machines, "GET", "/v1/machines");
  }

  /** Waits until this phone was told that the machine is online, and the list agrees. */
  async machineOnline(id: string, boundMs: number): Promise<MachineRow> {
    await this.ephemerals.first(
      "machine-activity with active: true",
      boundMs,
      (event) => (event.type === "machine-activity" && event.id === id && event.active) || undefined,
    );
    return until(
      "an active machine in the list",
      async () => (await this.machines()).find((row) => row.id === id && row.active),
      boundMs,
    );
  }

  /** Waits until this phone is told that the session is active: its process is connected and hears what is sent live. */
  async sessionAlive(id: string, boundMs: number, from: number): Promise<void> {
    await this.ephemerals.first(
      "activity with active: true",
      boundMs,
      (event) => (event.type === "activity" && event.id === id && event.active) || undefined,
      from,
    );
  }

  /** The key of one session or machine. */
  cipherOf(row: { readonly dataEncryptionKey: string | null }): Cipher {
    if (row.dataEncryptionKey === null) return legacyCipher(this.secret);
    const sealed = fromBase64(row.dataEncryptionKey);
    if (sealed[0] !== 0) throw new Error(`Unknown version ${sealed[0]} of a data key.`);
    return dataKeyCipher(openSealed(sealed.slice(1), this.contentKeys.secretKey));
  }

  // Messages

  /** Posts already encrypted texts; the same `localId` again changes nothing. */
  async post(sessionId: string, texts: readonly { content: string; localId: string }[]): Promise<void> {
    await this.call(answers.stored, "POST", `/v3/sessions/${sessionId}/messages`, { messages: texts });
  }

  /** Every message after `afterSeq`, page by page, as the app catches up. */
  async messagesAfter(sessionId: string, afterSeq: number): Promise<MessageRow[]> {
    const found: MessageRow[] = [];
    for (let hasMore = true; hasMore; ) {
      const from = found.at(-1)?.seq ?? afterSeq;
      const path = `/v3/sessions/${sessionId}/messages?after_seq=${from}&limit=100`;
      const page = await this.call(answers.messages, "GET", path);
      found.push(...page.messages);
      hasMore = page.hasMore && page.messages.length > 0;
    }
    return found;
  }

  /** As the app's button does; the CLI may still run. */
  async archive(sessionId: string): Promise<void> {
    await this.call(answers.success, "POST", `/v1/sessions/${sessionId}/archive`);
  }

  // Attachments (section 7)

  /** @returns the ref under which the attachment is found again. */
  async upload(sessionId: string, filename: string, data: Uint8Array, cipher: Cipher): Promise<string> {
    const sealed = cipher.encryptBlob(data);
    const path = `/v1/sessions/${sessionId}/attachments/request-upload`;
    const granted = await this.call(answers.upload, "POST", path, { filename, size: sealed.length });
    await this.#transfer(granted.uploadUrl, {
      method: "PUT",
      headers: { "content-type": "application/octet-stream" },
      body: sealed,
    });
    return granted.ref;
  }

  async download(sessionId: string, ref: string, cipher: Cipher): Promise<Uint8Array> {
    const path = `/v1/sessions/${sessionId}/attachments/request-download`;
    const { downloadUrl } = await this.call(answers.download, "POST", path, { ref });
    return cipher.decryptBlob(await this.#transfer(downloadUrl, {}));
  }

  /** Like both real clients: the token goes along only when the address starts with the server's own. */
  async #transfer(url: string, init: RequestInit): Promise<Uint8Array> {
    const headers = new Headers(init.headers);
    if (url.startsWith(this.server)) headers.set("authorization", `Bearer ${this.token}`);
    const reply = await fetch(url, { ...init, headers });
    if (!reply.ok)
      throw new Error(`${init.method ?? "GET"} ${url} answered ${reply.status}: ${await reply.text()}`);
    return new Uint8Array(await reply.arrayBuffer());
  }

  // Realtime

  /** Opens the socket and keeps it open, through restarts of the server too, until `disconnect`. */
  async connect(): Promise<void> {
    if (this.#socket !== undefined) return;
    const socket = io(this.server, {
      path: "/v1/updates",
      transports: ["websocket"],
      auth: {
        token: this.token,
        clientType: "user-scoped",
        happyClient: "web/1.7.0",
        appState: "background",
      },
      reconnectionDelay: 1000,
      reconnectionDelayMax: 5000,
      forceNew: true,
    });
    this.#socket = socket;
    socket.on("update", (raw: unknown) => this.#take(this.updates, parseUpdate, raw));
    socket.on("ephemeral", (raw: unknown) => this.#take(this.ephemerals, parseEphemeral, raw));
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    });
  }

  disconnect(): void {
    this.#socket?.disconnect();
    this.#socket = undefined;
  }

  get connected(): boolean {
    return this.#socket?.connected === true;
  }

  /** Sends one encrypted text the way happy-agent does: over the socket, without a `localId`, never acknowledged. */
  sendOverSocket(sessionId: string, content: string): void {
    this.#open().emit("message", { sid: sessionId, message: content });
  }

  /** Calls a method of a session or machine; parameters and result travel encrypted. @throws Error with the relay's own words. */
  async rpc(target: string, method: string, params: unknown, cipher: Cipher): Promise<unknown> {
    const request = { method: `${target}:${method}`, params: cipher.encrypt(params) };
    const ack = rpcAck.parse(await this.#open().timeout(rpcBoundMs).emitWithAck("rpc-call", request));
    if (!ack.ok) throw new Error(ack.error);
    return cipher.decrypt(ack.result);
  }

  #open(): Socket {
    if (this.#socket === undefined) throw new Error("The phone is not connected.");
    return this.#socket;
  }

  #take<T>(record: Recorder<T>, parse: (raw: unknown) => T, raw: unknown): void {
    try {
      record.push(parse(raw));
    } catch (error) {
      this.rejected.push(`${error instanceof Error ? error.message : error} in ${JSON.stringify(raw)}`);
    }
  }
}
