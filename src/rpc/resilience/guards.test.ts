// The guards as the document has them: who shares places and breakers with whom, and whose fault a deadline is.
import { describe, expect, test } from "bun:test";
import { callFrom, documentFrom } from "../../../test/support/rpc-call.ts";
import type { RpcError } from "../wire/rpc-error.ts";
import { InboundGuards } from "./guards.ts";

describe("places", () => {
  const one = { max_concurrent: 1, queue_depth: 0 };
  const bulkhead = (given: object) => {
    const document = { resilience: { bulkhead: { queue_depth: 0, ...given } } };
    const guards = new InboundGuards(() => documentFrom(document));
    return async (method: string) => {
      try {
        return await guards.enter(callFrom({ document, method }));
      } catch (error) {
        return (error as RpcError).code;
      }
    };
  };

  test("of a service with an override are its own where the key names no service", async () => {
    const enter = bulkhead({ key: ["tenant"], max_concurrent: 2, overrides: { SmallService: one } });
    for (let call = 0; call < 2; call++) expect(await enter("rpc.v2/LargeService/Do")).toBeObject();
    // The large service has filled its places, and none of the small one's.
    expect(await enter("rpc.v2/LargeService/Do")).toBe(5021);
    expect(await enter("rpc.v2/SmallService/Do")).toBeObject();
    expect(await enter("rpc.v2/SmallService/Other")).toBe(5021);
  });

  test("of a method with an override are not those of its service's", async () => {
    const enter = bulkhead({
      key: ["tenant"],
      overrides: { SmallService: one, "rpc.v2/SmallService/Do": one },
    });
    expect(await enter("rpc.v2/SmallService/Do")).toBeObject();
    expect(await enter("rpc.v2/SmallService/Do")).toBe(5021);
    expect(await enter("rpc.v2/SmallService/Other")).toBeObject();
  });
});

describe("the breaker", () => {
  const faults = (given: object) => {
    const document = { resilience: { circuit_breaker: { failure_threshold: 3, ...given } } };
    const guards = new InboundGuards(() => documentFrom(document));
    return (method: string) => {
      try {
        guards.admit(callFrom({ document, method })).failed(5000);
        return "admitted";
      } catch (error) {
        return (error as RpcError).code;
      }
    };
  };

  test("of a service with an override is its own where the key names no service", () => {
    const fails = faults({ key: ["tenant"], overrides: { SmallService: { failure_threshold: 1 } } });
    expect(fails("rpc.v2/SmallService/Do")).toBe("admitted");
    expect(fails("rpc.v2/SmallService/Do")).toBe(5010);
    expect(fails("rpc.v2/LargeService/Do")).toBe("admitted");
  });
});
