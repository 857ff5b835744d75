// Who is connected to this node: one client an id. A client that was replaced cannot take its successor with it, however late it goes.
import type { Client } from "./client.ts";
import { ClientNotFoundError } from "./errors.ts";

export class Clients {
  readonly #byId = new Map<string, Client>();

  get count(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  find(id: string): Client | undefined {
    return this.#byId.get(id);
  }

  /** @throws ClientNotFoundError */
  get(id: string): Client {
    const client = this.#byId.get(id);
    if (client === undefined) throw new ClientNotFoundError();
    return client;
  }

  all(): Iterable<Client> {
    return this.#byId.values();
  }

  add(client: Client): void {
    this.#byId.set(client.id, client);
  }

  /** Does nothing when another client has the id by now. */
  remove(client: Client): void {
    if (this.#byId.get(client.id) === client) this.#byId.delete(client.id);
  }
}
