// Tasks in Redis, for several servers (contract 13.4): every step is one script, so two servers never run one task, and a change is published
// within the step that makes it, so that all servers hear of all changes in one order. Times of queues and leases are those of Redis.
import { type RedisLink, RedisScript } from "../store/redis-link.ts";
import { COLUMNS, rowOf, type TaskRow, taskOf } from "../store/task-rows.ts";
import { noRoomForTasks } from "./no-room.ts";
import { TASK_STATUSES, type Task, type TaskStatus } from "./task.ts";
import {
  type Claimed,
  kept,
  LEASE_MS,
  MAX_RETRY_DELAY_MS,
  type OldTasks,
  type Saved,
  type TaskBounds,
  type TaskCounts,
  type TaskListener,
  type TaskStore,
} from "./task-store.ts";

/** One slot of a cluster of Redis holds them all. */
const PREFIX = "{roost-rpc}:task";
const CHANNEL = `${PREFIX}s:changes`;
const STEP = 200;
const columns = COLUMNS.map((name) => `'${name}'`).join(",");

// Shared by the scripts. A task is a hash of its columns, an empty text for what has no value; sorted sets say what comes next.
const COMMON = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local columns = {${columns}}
local all = '${PREFIX}s:'
local final = {succeeded = true, failed = true, canceled = true}
local function keyOf(id) return '${PREFIX}:' .. id end
local function column(id, name) return redis.call('HGET', keyOf(id), name) end
local function row(id) return redis.call('HMGET', keyOf(id), unpack(columns)) end
local function line(status, priority)
  if final[status] then return all .. 'over' end
  if status == 'pending' or status == 'retrying' then return all .. status .. ':' .. priority end
  return all .. status
end
local function unfile(id)
  local status = column(id, 'status')
  redis.call('ZREM', line(status, column(id, 'priority')), id)
  if final[status] then redis.call('ZREM', all .. 'ends', id) end
  redis.call('HINCRBY', all .. 'counts', status, -1)
  redis.call('DECRBY', all .. 'bytes', column(id, 'bytes'))
end
local function file(id)
  local status = column(id, 'status')
  local score = column(id, 'ready_at_ms')
  if status == 'running' then score = column(id, 'lease_until_ms') end
  if final[status] then
    score = column(id, 'completed_at_ms')
    redis.call('ZADD', all .. 'ends', score + column(id, 'ttl_ms'), id)
  end
  redis.call('ZADD', line(status, column(id, 'priority')), score, id)
  redis.call('HINCRBY', all .. 'counts', status, 1)
  redis.call('INCRBY', all .. 'bytes', column(id, 'bytes'))
end
local function told(id)
  local own = row(id)
  redis.call('PUBLISH', '${CHANNEL}', cjson.encode(own))
  return own
end
local function changed(id, values)
  unfile(id)
  redis.call('HSET', keyOf(id), unpack(values))
  redis.call('HINCRBY', keyOf(id), 'version', 1)
  file(id)
  return told(id)
end
local function drop(id)
  unfile(id)
  local key = column(id, 'idempotency_key')
  if key ~= '' then redis.call('HDEL', all .. 'keys', key) end
  redis.call('ZREM', all .. 'order', id)
  redis.call('DEL', keyOf(id))
end
`;

const SAVE = new RedisScript(`${COMMON}
local id, key, bytes, params = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if key ~= '' then
  local known = redis.call('HGET', all .. 'keys', key)
  if known then return {'known', row(known)} end
end
local function fits(tasks, entries, most)
  return redis.call('ZCARD', all .. 'order') + tasks <= entries
    and tonumber(redis.call('GET', all .. 'bytes') or '0') + bytes <= most
end
if not fits(1, tonumber(ARGV[5]), tonumber(ARGV[6])) then
  while not fits(0, tonumber(ARGV[7]), tonumber(ARGV[8])) do
    local oldest = redis.call('ZRANGE', all .. 'over', 0, 0)[1]
    if not oldest then break end
    drop(oldest)
  end
end
if not fits(1, tonumber(ARGV[5]), tonumber(ARGV[6])) then return {'full'} end
redis.call('HSET', keyOf(id), 'params', params, unpack(ARGV, 9))
if column(id, 'status') == 'pending' then redis.call('HSET', keyOf(id), 'ready_at_ms', now) end
if key ~= '' then redis.call('HSET', all .. 'keys', key, id) end
redis.call('ZADD', all .. 'order', redis.call('INCR', all .. 'seq'), id)
file(id)
return {'new', told(id)}
`);

const GET = new RedisScript(`${COMMON}
if redis.call('EXISTS', keyOf(ARGV[1])) == 0 then return false end
return {row(ARGV[1]), redis.call('HGET', keyOf(ARGV[1]), 'result')}
`);

// The pause before a retry counts from now on the clock of Redis.
const UPDATE = new RedisScript(`${COMMON}
local id = ARGV[1]
if column(id, 'version') ~= ARGV[2] then return false end
if ARGV[3] == '1' and ARGV[7] ~= '' then
  while tonumber(redis.call('GET', all .. 'bytes') or '0') + tonumber(ARGV[6]) > tonumber(ARGV[7]) do
    local oldest = redis.call('ZRANGE', all .. 'over', 0, 0)[1]
    if not oldest then break end
    drop(oldest)
  end
end
local values = {unpack(ARGV, 8)}
local function set(name, value)
  values[#values + 1] = name
  values[#values + 1] = value
end
if ARGV[3] == '1' then
  set('result', ARGV[4])
end
if ARGV[5] ~= '' then set('ready_at_ms', now + ARGV[5]) end
for at = 1, #values, 2 do
  if values[at] == 'lease_owner' and values[at + 1] ~= '' then set('lease_until_ms', now + ${LEASE_MS}) break end
end
return changed(id, values)
`);

const CLAIM = new RedisScript(`${COMMON}
local best, level, since
local function look(id)
  if not id then return end
  local ready = tonumber(column(id, 'ready_at_ms'))
  if column(id, 'status') == 'retrying' and ready > now and ready <= now + ${MAX_RETRY_DELAY_MS} then return end
  local own = math.min(3, column(id, 'priority') + math.max(0, math.floor((now - ready) / 1000)))
  if best and (own < level or (own == level and since <= ready)) then return end
  best, level, since = id, own, ready
end
local claimed = {}
while #claimed < tonumber(ARGV[2]) do
  best = nil
  for priority = 3, 0, -1 do
    look(redis.call('ZRANGE', all .. 'pending:' .. priority, 0, 0)[1])
    look(redis.call('ZRANGE', all .. 'retrying:' .. priority, 0, 0)[1])
    look(redis.call('ZRANGE', all .. 'retrying:' .. priority, -1, -1)[1])
  end
  if not best then break end
  local attempt = tonumber(column(best, 'attempt'))
  if column(best, 'status') == 'retrying' then attempt = attempt + 1 end
  local own = changed(best, {'status', 'running', 'attempt', attempt, 'started_at_ms', now, 'updated_at_ms', now,
    'next_retry_at_ms', '', 'progress', '', 'error', '', 'lease_owner', ARGV[1], 'lease_until_ms', now + ${LEASE_MS}})
  claimed[#claimed + 1] = {own, redis.call('HGET', keyOf(best), 'params')}
end
return claimed
`);

const WAKE = new RedisScript(`${COMMON}
local due = redis.call('ZRANGEBYSCORE', all .. 'scheduled', '-inf', now, 'LIMIT', 0, ${STEP})
for _, id in ipairs(due) do changed(id, {'status', 'pending', 'updated_at_ms', now}) end
return #due
`);

const NEXT = new RedisScript(`${COMMON}
local next = false
local function look(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if first and (not next or tonumber(first) < next) then next = tonumber(first) end
end
look(all .. 'scheduled')
for priority = 0, 3 do look(all .. 'retrying:' .. priority) end
if not next then return false end
return math.max(0, next - now)
`);

const RENEW = new RedisScript(`${COMMON}
for at = 2, #ARGV do
  local id = ARGV[at]
  if column(id, 'lease_owner') == ARGV[1] and column(id, 'status') == 'running' then
    redis.call('HSET', keyOf(id), 'lease_until_ms', now + ${LEASE_MS})
    redis.call('ZADD', all .. 'running', now + ${LEASE_MS}, id)
  end
end
return 1
`);

const LAPSED = new RedisScript(`${COMMON}
local known, found = {}, {}
for at = 2, #ARGV do known[ARGV[at]] = true end
for _, id in ipairs(redis.call('ZRANGE', all .. 'running', 0, -1)) do
  local untilMs = tonumber(column(id, 'lease_until_ms'))
  local over = untilMs <= now or untilMs > now + ${LEASE_MS}
  if not known[id] and (over or column(id, 'lease_owner') == ARGV[1]) then found[#found + 1] = row(id) end
end
return found
`);

const LIST = new RedisScript(`${COMMON}
local found = {}
for _, id in ipairs(redis.call('ZRANGE', all .. 'order', 0, -1)) do
  if #found >= tonumber(ARGV[2]) then break end
  if column(id, 'status') == ARGV[1] then found[#found + 1] = row(id) end
end
return found
`);

const COUNTS = new RedisScript(`return redis.call('HGETALL', '${PREFIX}s:counts')`);

const REMOVE_EXPIRED = new RedisScript(`${COMMON}
local old = redis.call('ZRANGEBYSCORE', all .. 'ends', '-inf', ARGV[1], 'LIMIT', 0, ${STEP})
for _, id in ipairs(old) do drop(id) end
return #old
`);

const EXPIRED = new RedisScript(`${COMMON}
local counts, sums, tenants, found = {}, {}, {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', all .. 'ends', '-inf', ARGV[1])) do
  local tenant = column(id, 'tenant_id')
  if not counts[tenant] then
    counts[tenant], sums[tenant] = 0, 0
    tenants[#tenants + 1] = tenant
  end
  counts[tenant] = counts[tenant] + 1
  sums[tenant] = sums[tenant] + column(id, 'bytes')
end
for _, tenant in ipairs(tenants) do found[#found + 1] = {tenant, counts[tenant], sums[tenant]} end
return found
`);

const NEWEST = new RedisScript(`
local found = redis.call('ZREVRANGEBYSCORE', '${PREFIX}s:over', ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
return found[2]
`);

export interface RedisTasksParts {
  readonly link: RedisLink;
  readonly listener: TaskListener;
}

type Row = readonly (string | null)[];

export class RedisTasks implements TaskStore {
  #shortestTtlMs = Number.POSITIVE_INFINITY;

  constructor(private readonly parts: RedisTasksParts) {
    const { link, listener } = parts;
    link.listen(
      CHANNEL,
      (message) => listener.changed(taskFrom(JSON.parse(message))),
      () => listener.again(),
    );
  }

  async save(task: Task, params: string, bounds: TaskBounds): Promise<Saved> {
    const less = kept(bounds);
    this.#shortestTtlMs = Math.min(this.#shortestTtlMs, task.ttlMs);
    const reply = (await this.#run(SAVE, [
      ...[task.id, task.keyId ?? "", task.bytes, params],
      ...[bounds.tasks, bounds.bytes, less.tasks, less.bytes],
      ...fieldsOf(task),
    ])) as readonly [string, Row];
    if (reply[0] === "full") throw noRoomForTasks();
    return { task: taskFrom(reply[1]), isNew: reply[0] === "new" };
  }

  async get(id: string) {
    const reply = (await this.#run(GET, [id])) as readonly [Row, string | null] | null;
    return reply === null ? undefined : { task: taskFrom(reply[0]), result: reply[1] ?? undefined };
  }

  async update(task: Task, result?: string, bounds?: TaskBounds): Promise<Task | undefined> {
    const grown = result === undefined ? 0 : Buffer.byteLength(result);
    const bytes = task.bytes + grown;
    const pauseMs =
      task.status === "retrying" && task.nextRetryAtMs !== null
        ? Math.max(0, task.nextRetryAtMs - task.updatedAtMs)
        : "";
    const reply = (await this.#run(UPDATE, [
      ...[task.id, task.version, result === undefined ? "0" : "1", result ?? "", pauseMs],
      ...[grown, bounds?.bytes ?? ""],
      ...fieldsOf({ ...task, bytes }),
    ])) as Row | null;
    return reply === null ? undefined : taskFrom(reply);
  }

  async claim(owner: string, limit: number): Promise<readonly Claimed[]> {
    const replies = (await this.#run(CLAIM, [owner, limit])) as readonly (readonly [Row, string])[];
    return replies.map(([row, params]) => ({ task: taskFrom(row), params }));
  }

  async wake(): Promise<number> {
    return (await this.#run(WAKE, [])) as number;
  }

  async nextInMs(): Promise<number | undefined> {
    return ((await this.#run(NEXT, [])) as number | null) ?? undefined;
  }

  async renew(owner: string, ids: readonly string[]): Promise<void> {
    await this.#run(RENEW, [owner, ...ids]);
  }

  async lapsed(owner: string, ids: readonly string[]): Promise<readonly Task[]> {
    return ((await this.#run(LAPSED, [owner, ...ids])) as readonly Row[]).map(taskFrom);
  }

  async list(status: TaskStatus, limit: number): Promise<readonly Task[]> {
    return ((await this.#run(LIST, [status, limit])) as readonly Row[]).map(taskFrom);
  }

  async counts(): Promise<TaskCounts> {
    const flat = (await this.#run(COUNTS, [])) as readonly string[];
    const of = (status: TaskStatus) => {
      const at = flat.indexOf(status);
      return at < 0 ? 0 : Number(flat[at + 1]);
    };
    return Object.fromEntries(TASK_STATUSES.map((status) => [status, of(status)])) as TaskCounts;
  }

  async removeExpired(now: number): Promise<number> {
    return (await this.#run(REMOVE_EXPIRED, [now])) as number;
  }

  async expired(now: number): Promise<readonly OldTasks[]> {
    const found = (await this.#run(EXPIRED, [now])) as readonly (readonly [string, number, number])[];
    return found.map(([tenant, count, bytes]) => ({ tenant, count, bytes }));
  }

  async newestCompleted(now: number): Promise<number | undefined> {
    const at = (await this.#run(NEWEST, [now])) as string | null;
    return at === null ? undefined : Number(at);
  }

  /** Of those that this process has saved: others have a server of their own. */
  shortestTtlMs(): number {
    return this.#shortestTtlMs;
  }

  async close(): Promise<void> {}

  #run(script: RedisScript, args: readonly (string | number)[]) {
    return this.parts.link.run(script, [], args);
  }
}

const fieldsOf = (task: Task): string[] => {
  const row = rowOf(task);
  return COLUMNS.flatMap((name) => [name, row[name] === null ? "" : String(row[name])]);
};

const TEXT = new Set<string>([
  ...["task_id", "tenant_id", "parent_task_id", "principal", "trace", "target_method", "protocol_version"],
  ...["status", "idempotency_key", "error", "progress", "metadata", "tags", "lease_owner"],
]);

function taskFrom(values: Row): Task {
  const row = COLUMNS.map((name, at) => {
    const value = values[at] ?? "";
    return [name, value === "" ? null : TEXT.has(name) ? value : Number(value)];
  });
  return taskOf(Object.fromEntries(row) as unknown as TaskRow);
}
