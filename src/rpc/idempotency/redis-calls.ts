// Answers to idempotency keys in Redis, for several servers: one of them runs a call, whoever asks meanwhile is told that it runs. A mark
// carries a lease that its server renews; when that dies, the mark says that nobody knows whether the call ran. Times are those of Redis.
import { type RedisLink, RedisScript } from "../store/redis-link.ts";
import {
  type Begun,
  bytesOf,
  type CallBounds,
  type CallStore,
  type DoneCall,
  ENTRY_BYTES,
  type NewCall,
} from "./call-store.ts";
import { noRoom } from "./memory-calls.ts";

const LEASE_MS = 30_000;
const RENEW_MS = 10_000;

/** One slot of a cluster of Redis holds them all. */
const PREFIX = "{roost-rpc}:call";
/** Ids by their last use, by their end, their bytes, and the sum of those. */
const KEYS = [`${PREFIX}s:used`, `${PREFIX}s:end`, `${PREFIX}s:bytes`, `${PREFIX}s:sum`];

// Shared by the scripts: the time, and what makes room. An entry whose hash is gone has ended by itself.
const COMMON = `
local used, ends, sizes, sum = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function drop(id)
  local bytes = tonumber(redis.call('HGET', sizes, id) or '0')
  redis.call('HDEL', sizes, id)
  redis.call('ZREM', used, id)
  redis.call('ZREM', ends, id)
  redis.call('DECRBY', sum, bytes)
  redis.call('DEL', '${PREFIX}:' .. id)
end
local function put(id, bytes, ttl)
  redis.call('HSET', sizes, id, bytes)
  redis.call('ZADD', used, redis.call('INCR', sum .. ':clock'), id)
  redis.call('ZADD', ends, now + ttl, id)
  redis.call('INCRBY', sum, bytes)
  redis.call('PEXPIRE', '${PREFIX}:' .. id, ttl)
end
local function room(bytes, entries, most)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 64)) do drop(id) end
  local at = 0
  while redis.call('ZCARD', used) + 1 > entries or tonumber(redis.call('GET', sum) or '0') + bytes > most do
    local id = redis.call('ZRANGE', used, at, at)[1]
    if not id then return false end
    if redis.call('HGET', '${PREFIX}:' .. id, 'done') == '0' then at = at + 1 else drop(id) end
  end
  return true
end
`;

const BEGIN = new RedisScript(`${COMMON}
local id, hash, run, node, idempotent, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local key = '${PREFIX}:' .. id
local known = redis.call('HMGET', key, 'done', 'hash', 'run', 'node', 'lease', 'answer')
if known[1] == '1' then
  redis.call('ZADD', used, redis.call('INCR', sum .. ':clock'), id)
  return {'done', known[2], known[6]}
end
if known[1] == '0' then
  local alive = tonumber(known[5]) > now and not (known[4] == node and known[3] ~= run)
  if alive and known[3] ~= run then return {'running', known[2]} end
  if known[3] == run or idempotent == '0' then return {'unknown', known[2]} end
end
drop(id)
if not room(${ENTRY_BYTES}, tonumber(ARGV[7]), tonumber(ARGV[8])) then return {'full'} end
redis.call('HSET', key, 'done', '0', 'hash', hash, 'run', run, 'node', node, 'lease', now + ${LEASE_MS})
put(id, ${ENTRY_BYTES}, ttl)
return {'begun'}
`);

const COMPLETE = new RedisScript(`${COMMON}
local id, hash, answer, bytes, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
drop(id)
room(bytes, tonumber(ARGV[6]), tonumber(ARGV[7]))
local key = '${PREFIX}:' .. id
redis.call('HSET', key, 'done', '1', 'hash', hash)
if ARGV[8] == '1' then redis.call('HSET', key, 'answer', answer) end
put(id, bytes, ttl)
return 1
`);

const RELEASE = new RedisScript(`${COMMON}
if redis.call('HGET', '${PREFIX}:' .. ARGV[1], 'done') == '0' then drop(ARGV[1]) end
return 1
`);

const RENEW = new RedisScript(`${COMMON}
for at = 2, #ARGV do
  local key = '${PREFIX}:' .. ARGV[at]
  if redis.call('HGET', key, 'run') == ARGV[1] then redis.call('HSET', key, 'lease', now + ${LEASE_MS}) end
end
return 1
`);

const SWEEP = new RedisScript(`${COMMON}
local old = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)
for _, id in ipairs(old) do drop(id) end
return #old
`);

export interface RedisCallsParts {
  readonly link: RedisLink;
  readonly bounds: () => CallBounds;
  /** Of this process. */
  readonly run: string;
  /** Of the data folder: what it ran in an earlier process is nobody's any more. */
  readonly node: string;
}

export class RedisCalls implements CallStore {
  readonly #running = new Set<string>();
  readonly #renewing: Timer;

  constructor(private readonly parts: RedisCallsParts) {
    this.#renewing = setInterval(() => this.#renew(), RENEW_MS);
    this.#renewing.unref();
  }

  async begin({ id, hash, isIdempotent, ttlMs }: NewCall): Promise<Begun> {
    const { run, node } = this.parts;
    const { entries, bytes } = this.parts.bounds();
    const flag = isIdempotent ? "1" : "0";
    const reply = await this.#run(BEGIN, [id, hash, run, node, flag, ttlMs, entries, bytes]);
    const [kind, known, answer] = reply as readonly [string, string, string | null];
    if (kind === "full") throw noRoom();
    if (kind === "done") return { kind, hash: known, answer: answer ?? undefined };
    if (kind === "running" || kind === "unknown") return { kind, hash: known };
    this.#running.add(id);
    return { kind: "begun" };
  }

  async complete({ id, hash, answer, ttlMs }: DoneCall): Promise<void> {
    const { entries, bytes } = this.parts.bounds();
    this.#running.delete(id);
    const kept = answer === undefined ? "0" : "1";
    await this.#run(COMPLETE, [id, hash, answer ?? "", bytesOf(answer), ttlMs, entries, bytes, kept]);
  }

  async release(id: string): Promise<void> {
    this.#running.delete(id);
    await this.#run(RELEASE, [id]);
  }

  async removeExpired(): Promise<number> {
    return (await this.#run(SWEEP, [])) as number;
  }

  async close(): Promise<void> {
    clearInterval(this.#renewing);
  }

  #renew(): void {
    if (this.#running.size === 0) return;
    // When Redis is away the next round comes soon enough for the lease.
    this.#run(RENEW, [this.parts.run, ...this.#running]).catch(() => {});
  }

  #run(script: RedisScript, args: readonly (string | number)[]) {
    return this.parts.link.run(script, KEYS, args);
  }
}
