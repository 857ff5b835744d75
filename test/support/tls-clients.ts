// Clients of a TLS door that show a certificate or none: one request, a WebSocket, or a connection to do as one likes with.
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { Pair } from "./certificates.ts";

export interface TlsTarget {
  readonly port: number;
  /** Whose server certificates are trusted. */
  readonly authority: Pair;
}

export interface TlsAnswer {
  readonly status: number;
  readonly text: string;
  /** Common name of the certificate that the server showed. */
  readonly server: string | undefined;
  readonly version: string;
}

/** Secured from the client's side. With TLS 1.3 the server may still refuse its certificate. @throws what the handshake failed with. */
export async function connectTls(
  { port, authority }: TlsTarget,
  pair?: Pick<Pair, "cert" | "key">,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const identity = pair === undefined ? {} : { cert: pair.cert, key: pair.key };
  const socket = connect(
    { host: "127.0.0.1", port, ca: authority.cert, ALPNProtocols: ["http/1.1"], ...identity, ...options },
    () => resolve(socket),
  );
  socket.on("error", reject);
  socket.once("close", () => reject(new Error("closed")));
  return await promise;
}

/** @throws Error when the server ends the connection without an answer. */
export async function ask(
  target: TlsTarget,
  pair: Pick<Pair, "cert" | "key"> | undefined,
  { path = "/", headers = {}, options = {} }: AskOptions = {},
): Promise<TlsAnswer> {
  const socket = await connectTls(target, pair, options);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = "";
  socket.on("data", (piece: Buffer) => {
    received += piece.toString("latin1");
  });
  socket.once("error", reject);
  socket.once("close", () => resolve(received));
  const server = String(socket.getPeerCertificate().subject.CN);
  const version = socket.getProtocol() ?? "";
  const lines = Object.entries({ host: "localhost", connection: "close", ...headers });
  socket.write(
    `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  const text = await promise;
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error("closed without an answer");
  return { status, text: text.slice(text.indexOf("\r\n\r\n") + 4), server, version };
}

export interface AskOptions {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly options?: ConnectionOptions;
}
