// The contract of a ledger, on the one in memory with which the pusher's own tests run.
import { MemoryLedger, type MemoryTicket, type NamedDevice } from "../../test/support/memory-ledger.ts";
import { ledgerSuite } from "../../test/support/push-ledger.ts";

ledgerSuite<NamedDevice, MemoryTicket>("in memory", async () => {
  const ledger = new MemoryLedger();
  for (const owner of ["me", "other"]) ledger.registered.set(owner, []);
  return {
    ledger,
    owners: ["me", "other"],
    register: async (owner, address) => ledger.register(owner, address),
    unregister: async (owner, address) => ledger.unregister(owner, address),
    age: async (ms) => {
      ledger.entries = ledger.entries.map((entry) => ({ ...entry, at: entry.at - ms }));
      ledger.tickets = ledger.tickets.map((ticket) => ({ ...ticket, at: ticket.at - ms }));
    },
    decisions: async (owner) =>
      ledger.entries.filter((entry) => entry.owner === owner).map(({ decision }) => decision),
    close: async () => {},
  };
});
