// Machines over HTTP (HTTP contract 9, and the additive PUT of 17).
import { z } from "zod";
import { pathIdentifier } from "../../limits/identifier.ts";
import { versioned } from "../../storage/versioned.ts";
import { machineAndUser, userScoped } from "../audience.ts";
import { announceMachineChange } from "../session-announcements.ts";
import type { LightMachine } from "../store/machines.ts";
import { decodeLenient } from "../wire/base64.ts";
import { deletedMachine, machineBody, machineMetadata, newMachine } from "../wire/updates.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonLarge, jsonList } from "./kit/large.ts";

const params = z.object({ id: z.string() });
const withSeq = (row: LightMachine) => ({ ...machineBody(row), seq: row.seq });

const register = endpoint(
  {
    method: "POST",
    path: "/v1/machines",
    auth: "bearer",
    body: z.object({
      id: pathIdentifier,
      metadata: z.string(),
      daemonState: z.string().optional(),
      dataEncryptionKey: z.string().nullish(),
    }),
  },
  async ({ context, account, body }) => {
    const machine = {
      id: body.id,
      metadata: body.metadata,
      daemonState: body.daemonState,
      dataEncryptionKey: body.dataEncryptionKey ? decodeLenient(body.dataEncryptionKey) : null,
    };
    const registered = await context.store.registerMachine(account, machine, (result) => {
      if (result.kind !== "new") return;
      const { row, newMachineSeq, updateMachineSeq } = result;
      context.publisher.update(userScoped(account), newMachineSeq, newMachine(row));
      context.publisher.update(
        machineAndUser(account, row.id),
        updateMachineSeq,
        machineMetadata(row.id, row.metadata, row.metadataVersion),
      );
    });
    // The CLI has a helpful text for 409 (HTTP contract 20, fix 2).
    if (registered.kind === "foreign") return refusal(409, "Machine already registered to another account");
    const row = (await context.store.findLightMachine(account, body.id)) ?? registered.row;
    return jsonLarge(context, { machine: machineBody(row) });
  },
);

const list = endpoint({ method: "GET", path: "/v1/machines", auth: "bearer" }, async ({ context, account }) =>
  jsonList(context, undefined, await context.store.listMachines(account), withSeq),
);

const read = endpoint(
  { method: "GET", path: "/v1/machines/:id", auth: "bearer", params },
  async ({ context, account, params: { id } }) => {
    const row = await context.store.findLightMachine(account, id);
    return row === undefined
      ? refusal(404, "Machine not found")
      : jsonLarge(context, { machine: withSeq(row) });
  },
);

const remove = endpoint(
  { method: "DELETE", path: "/v1/machines/:id", auth: "bearer", params },
  async ({ context, account, params: { id } }) => {
    const deleted = await context.store.deleteMachine(account, id, (seq) => {
      context.presence.forget("machine", account, id);
      context.publisher.update(userScoped(account), seq, deletedMachine(id));
    });
    return deleted ? json({ success: true }) : refusal(404, "Machine not found");
  },
);

const version = z.int().min(0);

const change = endpoint(
  {
    method: "PUT",
    path: "/v1/machines/:id",
    auth: "bearer",
    params,
    body: z.object({
      metadata: z.string().optional(),
      expectedMetadataVersion: version.optional(),
      daemonState: z.string().optional(),
      expectedDaemonStateVersion: version.optional(),
    }),
  },
  async ({ context, account, params: { id }, body }) => {
    const { metadata, expectedMetadataVersion, daemonState, expectedDaemonStateVersion } = body;
    const parts = {
      metadata: versioned(metadata, expectedMetadataVersion),
      daemonState: versioned(daemonState, expectedDaemonStateVersion),
    };
    const announce = announceMachineChange(context, account, id, parts);
    const result = await context.store.changeMachine(account, id, parts, announce);
    if (result.kind === "missing") return refusal(404, "Machine not found");
    if (result.kind === "mismatch") {
      const row = (await context.store.findLightMachine(account, id)) ?? result.row;
      return jsonLarge(context, {
        success: false,
        error: "version-mismatch",
        ...(result.metadata && {
          currentMetadataVersion: row.metadataVersion,
          currentMetadata: row.metadata,
        }),
        ...(result.daemonState && {
          currentDaemonStateVersion: row.daemonStateVersion,
          currentDaemonState: row.daemonState,
        }),
      });
    }
    return json({
      success: true,
      ...(parts.metadata && { metadataVersion: parts.metadata.expectedVersion + 1 }),
      ...(parts.daemonState && { daemonStateVersion: parts.daemonState.expectedVersion + 1 }),
    });
  },
);

export const machineEndpoints: readonly Endpoint[] = [register, list, read, remove, change];
