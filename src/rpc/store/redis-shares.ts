// Who holds how much, in Redis (shares.ts): what scripts need for it. Counts are hashes by holder, `*` of all together for what is firm; two
// sorted sets have those that can give, by what they hold, and within that by how long they were not heard of.
import { FIRM_TIMES } from "./shares.ts";

/** `prefix`: of its keys. The script calls `weigh` after it has changed what a holder has. */
export const sharesScript = (prefix: string): string => `
local entriesOf, bytesOf = '${prefix}:entries', '${prefix}:bytes'
local firmOf, firmBytesOf = '${prefix}:firm', '${prefix}:firm-bytes'
local heardOf, most = '${prefix}:heard', {entries = '${prefix}:most-entries', bytes = '${prefix}:most-bytes'}
local function has(key, holder) return tonumber(redis.call('HGET', key, holder) or '0') end
local function hold(holder, entries, bytes, firm)
  redis.call('HINCRBY', entriesOf, holder, entries)
  redis.call('HINCRBY', bytesOf, holder, bytes)
  if not firm then return end
  for _, name in ipairs({holder, '*'}) do
    redis.call('HINCRBY', firmOf, name, entries)
    redis.call('HINCRBY', firmBytesOf, name, bytes)
  end
end
local function weigh(holder)
  local entries = has(entriesOf, holder)
  if entries > has(firmOf, holder) then
    local since = 1 - has(heardOf, holder) * 2 ^ -40
    redis.call('ZADD', most.entries, entries + since, holder)
    redis.call('ZADD', most.bytes, has(bytesOf, holder) + since, holder)
  else
    redis.call('ZREM', most.entries, holder)
    redis.call('ZREM', most.bytes, holder)
  end
  if entries > 0 then return end
  for _, key in ipairs({entriesOf, bytesOf, firmOf, firmBytesOf, heardOf}) do redis.call('HDEL', key, holder) end
end
local function mayHold(holder, bytes, entries, limit)
  local left, leftBytes = entries - has(firmOf, '*'), limit - has(firmBytesOf, '*')
  return left >= 1 and leftBytes >= bytes
    and has(firmOf, holder) < ${FIRM_TIMES} * left and has(firmBytesOf, holder) < ${FIRM_TIMES} * leftBytes
end
local function giver(holder, measure, added)
  local top = redis.call('ZREVRANGE', most[measure], 0, 0)[1]
  if not top then return false end
  local counts = measure == 'entries' and entriesOf or bytesOf
  if redis.call('ZSCORE', most[measure], holder) and has(counts, holder) + added >= has(counts, top) then return holder end
  return top
end
`;
