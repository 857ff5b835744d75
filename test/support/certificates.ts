// Real certificates for tests of TLS: authorities, servers, clients, a revocation list, each made by openssl in a folder of its own.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { needs } from "./needs.ts";

export const withOpenssl = needs.program("openssl");

export interface Pair {
  readonly cert: string;
  readonly key: string;
  /** Of their files. */
  readonly paths: { readonly cert: string; readonly key: string };
}

export interface LeafOptions {
  /** As openssl writes it. */
  readonly subject: string;
  /** Lines of an extension file: `subjectAltName=…`, and sections that it names. */
  readonly names?: string;
  readonly days?: number;
  /** To the second, in place of days. */
  readonly until?: Date;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A folder of certificates. */
export class Certificates implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "certificates-"));
  #made = 0;

  async authority(commonName: string): Promise<Pair> {
    const id = this.#next();
    const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
    const added = extensions.flatMap((each) => ["-addext", each]);
    await this.#run(
      ...["req", "-x509", ...KEY, "-days", "2", "-subj", `/CN=${commonName}`, ...added],
      ...["-keyout", `${id}.key`, "-out", `${id}.crt`],
    );
    return this.#pair(id);
  }

  async leaf(authority: Pair, { subject, names = "", days = 2, until }: LeafOptions): Promise<Pair> {
    const id = this.#next();
    await this.#run("req", ...KEY, "-subj", subject, "-keyout", `${id}.key`, "-out", `${id}.csr`);
    writeFileSync(join(this.folder, `${id}.ext`), `basicConstraints=CA:FALSE\n${names}\n`);
    if (until !== undefined) {
      const config = this.#config(authority, id, [
        "policy=all",
        "rand_serial=yes",
        "[all]",
        "commonName=supplied",
      ]);
      const ends = `${until.toISOString().replace(/[-:T]|\.\d+/g, "")}`;
      await this.#run(
        ...["ca", "-batch", "-notext", "-config", config, "-in", `${id}.csr`, "-extfile", `${id}.ext`],
        ...["-outdir", ".", "-startdate", "20200101000000Z", "-enddate", ends, "-out", `${id}.crt`],
      );
      return this.#pair(id);
    }
    await this.#run(
      ...["x509", "-req", "-in", `${id}.csr`, "-days", `${days}`, "-extfile", `${id}.ext`],
      ...["-CA", authority.paths.cert, "-CAkey", authority.paths.key, "-set_serial", `0x${id}0a`],
      ...["-out", `${id}.crt`],
    );
    return this.#pair(id);
  }

  /** The list of those that the authority took back, in PEM form. */
  async revoked(authority: Pair, ...pairs: readonly Pair[]): Promise<string> {
    const id = this.#next();
    const config = this.#config(authority, id);
    for (const { paths } of pairs) await this.#run("ca", "-config", config, "-revoke", paths.cert);
    await this.#run("ca", "-config", config, "-gencrl", "-out", `${id}.crl`);
    return this.#read(`${id}.crl`);
  }

  /** The same key behind a password. */
  async encrypted({ paths }: Pair, password: string): Promise<string> {
    const id = this.#next();
    await this.#run("ec", "-in", paths.key, "-aes256", "-passout", `pass:${password}`, "-out", `${id}.key`);
    return this.#read(`${id}.key`);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** @returns the file's name. */
  #config(authority: Pair, id: string, more: readonly string[] = []): string {
    const lines = [
      ...["[ca]", "default_ca=own", "[own]", `database=${id}.txt`, `crlnumber=${id}.number`],
      ...["default_md=sha256", "default_crl_days=2"],
      ...[`certificate=${authority.paths.cert}`, `private_key=${authority.paths.key}`, ...more],
    ];
    writeFileSync(join(this.folder, `${id}.cnf`), lines.join("\n"));
    writeFileSync(join(this.folder, `${id}.txt`), "");
    writeFileSync(join(this.folder, `${id}.number`), "1000\n");
    return `${id}.cnf`;
  }

  #next(): string {
    return `${++this.#made}`;
  }

  #pair(id: string): Pair {
    const paths = { cert: join(this.folder, `${id}.crt`), key: join(this.folder, `${id}.key`) };
    return { cert: this.#read(`${id}.crt`), key: this.#read(`${id}.key`), paths };
  }

  #read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8");
  }

  async #run(...words: readonly string[]): Promise<void> {
    await $`openssl ${words}`.cwd(this.folder).quiet();
  }
}

export interface TestCertificates {
  readonly certificates: Certificates;
  /** Trusted, and another with the same name that is not. */
  readonly authority: Pair;
  readonly otherAuthority: Pair;
  readonly server: Pair;
  readonly renewedServer: Pair;
  readonly alice: Pair;
  readonly bob: Pair;
  /** Alice's names by the other authority. */
  readonly falseAlice: Pair;
}

const HERE = "subjectAltName=DNS:localhost,IP:127.0.0.1";
const ALICE = "subjectAltName=DNS:alice.example,URI:spiffe://example/alice";

/** What most tests need. */
export async function testCertificates(): Promise<TestCertificates> {
  const certificates = new Certificates();
  const authority = await certificates.authority("test authority");
  const otherAuthority = await certificates.authority("test authority");
  const leaf = (by: Pair, subject: string, names: string) => certificates.leaf(by, { subject, names });
  return {
    certificates,
    authority,
    otherAuthority,
    server: await leaf(authority, "/CN=first", HERE),
    renewedServer: await leaf(authority, "/CN=renewed", HERE),
    alice: await leaf(authority, "/O=Example/CN=alice", ALICE),
    bob: await leaf(authority, "/O=Example/CN=bob", "subjectAltName=DNS:bob.example"),
    falseAlice: await leaf(otherAuthority, "/O=Example/CN=alice", ALICE),
  };
}
