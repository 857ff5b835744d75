// Answers to idempotency keys in Redis, for several servers: one of them runs a call, whoever asks meanwhile is told that it runs. A mark
// carries a lease that its server renews; when that dies, the mark says that nobody knows whether the call ran. Times are those of Redis.
import { type RedisLink, RedisScript } from "../store/redis-link.ts";
import { sharesScript } from "../store/redis-shares.ts";
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
/** Ids by their end; of each what it takes, whether it is done (1), and its holder; a clock of uses. */
const KEYS = [`${PREFIX}s:end`, `${PREFIX}s:held`, `${PREFIX}s:clock`];

// Shared by the scripts: the time, and what makes room. An entry whose hash is gone has ended by itself, so nothing about it is only there.
// What is done is in a sorted set of its holder, by its last use.
const COMMON = `${sharesScript(`${PREFIX}s`)}
local ends, held, uses = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function doneOf(holder) return '${PREFIX}s:done:' .. holder end
local function heard(holder, id, done)
  local at = redis.call('INCR', uses)
  redis.call('HSET', heardOf, holder, at)
  if done then redis.call('ZADD', doneOf(holder), at, id) end
end
local bytesInAll = '${PREFIX}s:sum'
local function drop(id)
  local known = redis.call('HGET', held, id)
  if known then
    local bytes, done, holder = string.match(known, '^(%d+) (%d) (.*)$')
    redis.call('HDEL', held, id)
    redis.call('ZREM', ends, id)
    redis.call('ZREM', doneOf(holder), id)
    redis.call('DECRBY', bytesInAll, bytes)
    hold(holder, -1, -tonumber(bytes), done == '0')
    weigh(holder)
  end
  redis.call('DEL', '${PREFIX}:' .. id)
end
local function put(id, holder, bytes, done, ttl)
  redis.call('HSET', held, id, bytes .. (done and ' 1 ' or ' 0 ') .. holder)
  redis.call('ZADD', ends, now + ttl, id)
  redis.call('INCRBY', bytesInAll, bytes)
  hold(holder, 1, bytes, not done)
  heard(holder, id, done)
  weigh(holder)
  redis.call('PEXPIRE', '${PREFIX}:' .. id, ttl)
end
local function sweep(most)
  local old = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(old) do drop(id) end
  return #old
end
local function room(holder, bytes, entries, limit)
  while true do
    local full
    if redis.call('ZCARD', ends) + 1 > entries then full = 'entries'
    elseif tonumber(redis.call('GET', bytesInAll) or '0') + bytes > limit then full = 'bytes'
    else return end
    local from = giver(holder, full, full == 'entries' and 1 or bytes)
    local id = from and redis.call('ZRANGE', doneOf(from), 0, 0)[1]
    if not id then return end
    drop(id)
  end
end
`;

const BEGIN = new RedisScript(`${COMMON}
local id, hash, run, node, idempotent, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local entries, limit, holder = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local key = '${PREFIX}:' .. id
local known = redis.call('HMGET', key, 'done', 'hash', 'run', 'node', 'lease', 'answer')
if known[1] == '1' then
  local owner = string.match(redis.call('HGET', held, id) or '', '^%d+ %d (.*)$')
  if owner then
    heard(owner, id, true)
    weigh(owner)
  end
  return {'done', known[2], known[6]}
end
if known[1] == '0' then
  local alive = tonumber(known[5]) > now and not (known[4] == node and known[3] ~= run)
  if alive and known[3] ~= run then return {'running', known[2]} end
  if known[3] == run or idempotent == '0' then return {'unknown', known[2]} end
end
drop(id)
sweep(64)
if not mayHold(holder, ${ENTRY_BYTES}, entries, limit) then return {'full'} end
room(holder, ${ENTRY_BYTES}, entries, limit)
redis.call('HSET', key, 'done', '0', 'hash', hash, 'run', run, 'node', node, 'lease', now + ${LEASE_MS})
put(id, holder, ${ENTRY_BYTES}, false, ttl)
return {'begun'}
`);

const COMPLETE = new RedisScript(`${COMMON}
local id, hash, answer, bytes, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local holder = ARGV[9]
drop(id)
sweep(64)
room(holder, bytes, tonumber(ARGV[6]), tonumber(ARGV[7]))
local key = '${PREFIX}:' .. id
redis.call('HSET', key, 'done', '1', 'hash', hash)
if ARGV[8] == '1' then redis.call('HSET', key, 'answer', answer) end
put(id, holder, bytes, true, ttl)
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
return sweep(1000)
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

  async begin({ id, hash, holder, isIdempotent, ttlMs }: NewCall): Promise<Begun> {
    const { run, node } = this.parts;
    const { entries, bytes } = this.parts.bounds();
    const flag = isIdempotent ? "1" : "0";
    const reply = await this.#run(BEGIN, [id, hash, run, node, flag, ttlMs, entries, bytes, holder]);
    const [kind, known, answer] = reply as readonly [string, string, string | null];
    if (kind === "full") throw noRoom();
    if (kind === "done") return { kind, hash: known, answer: answer ?? undefined };
    if (kind === "running" || kind === "unknown") return { kind, hash: known };
    this.#running.add(id);
    return { kind: "begun" };
  }

  async complete({ id, hash, holder, answer, ttlMs }: DoneCall): Promise<void> {
    const { entries, bytes } = this.parts.bounds();
    this.#running.delete(id);
    const kept = answer === undefined ? "0" : "1";
    await this.#run(COMPLETE, [id, hash, answer ?? "", bytesOf(answer), ttlMs, entries, bytes, kept, holder]);
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
