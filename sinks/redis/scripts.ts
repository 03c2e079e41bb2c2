import { createHash } from 'node:crypto';

/** A Lua script, which the server runs in one step. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/**
 * Of every script that writes, KEYS[1] is the owner's key, ARGV[1] and ARGV[2] our id and token. A newer token is that of a writer
 * that took over. An older one, or none, says that the server lost what it had been told since.
 */
const checkOwner = `
local owner = redis.call('HMGET', KEYS[1], 'id', 'token')
if owner[1] ~= ARGV[1] then
  if owner[2] and tonumber(owner[2]) >= tonumber(ARGV[2]) then return 'FENCED' end
  return 'LOST'
end`;

/**
 * Rows come as MessagePack: an array of key, value, key, value …, where false stands for no row. Values are strings, or arrays of
 * field, value, field, value …; \`count\` is of the array's elements. unpack takes what fits Lua's stack (8,000), so runs are cut.
 *
 * put: the keys themselves. Hashes are replaced as a whole, so that no field of an older row stays.
 * stage: into one hash, key by key, for \`move\`. What \`move\` is to delete has an empty value, which no row has.
 * fill: the same, when nothing is to be deleted later: a row that goes leaves nothing.
 */
const writers = `
local function runEnd(rows, i, count, there)
  local j = i
  while j + 2 < count and j - i < 198 and (rows[j + 3] ~= false) == there do j = j + 2 end
  return j
end
local function remove(command, target, rows, i, j)
  local keys = {}
  for at = i, j, 2 do keys[#keys + 1] = rows[at] end
  if target then redis.call(command, target, unpack(keys)) else redis.call(command, unpack(keys)) end
end
local function setOne(key, value, ttl)
  if type(value) == 'table' then
    redis.call('DEL', key)
    redis.call('HSET', key, unpack(value))
    if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
  elseif ttl > 0 then
    redis.call('SET', key, value, 'PX', ttl)
  else
    redis.call('SET', key, value)
  end
end
local function put(rows, count, ttl)
  local i = 1
  while i < count do
    local there = rows[i + 1] ~= false
    local j = runEnd(rows, i, count, there)
    if not there then
      remove('DEL', nil, rows, i, j)
    elseif ttl == 0 and type(rows[i + 1]) == 'string' then
      redis.call('MSET', unpack(rows, i, j + 1))
    else
      for at = i, j, 2 do setOne(rows[at], rows[at + 1], ttl) end
    end
    i = j + 2
  end
end
local function stage(rows, count, target, keepDeletes)
  local i = 1
  while i < count do
    local there = rows[i + 1] ~= false
    local j = runEnd(rows, i, count, there)
    if not there and not keepDeletes then
      remove('HDEL', target, rows, i, j)
    else
      for at = i, j, 2 do
        local value = rows[at + 1]
        if value == false then rows[at + 1] = ''
        elseif type(value) == 'table' then rows[at + 1] = cmsgpack.pack(value) end
      end
      redis.call('HSET', target, unpack(rows, i, j + 1))
    end
    i = j + 2
  end
end`;

/**
 * Takes the database over. KEYS: owner, then each sink's record and its staging hash. ARGV: our id, the time. Returns our token and the
 * records. What a large write of an earlier run had staged is let go, unless the record says that it counts.
 */
export const takeOver: Script = script(`
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'since', ARGV[2])
local found = { tostring(token) }
for i = 2, #KEYS, 2 do
  local record = redis.call('GET', KEYS[i])
  found[#found + 1] = record or ''
  if not record or string.find(record, '"state":"live"', 1, true) then redis.call('UNLINK', KEYS[i + 1]) end
end
return found`);

/**
 * The one script of ordinary commits. KEYS: owner, then the records. ARGV after id and token: the number of records; of each the
 * text that it is known to have ('' for none) and the new one ('' for no change); then in fives the kind of write, its target,
 * milliseconds to live, number of elements and the packed rows. OK, or FENCED or LOST with nothing written.
 */
export const write: Script = script(`${checkOwner}
local records = tonumber(ARGV[3])
for i = 1, records do
  if (redis.call('GET', KEYS[i + 1]) or '') ~= ARGV[2 + 2 * i] then return 'LOST' end
end
${writers}
for at = 4 + 2 * records, #ARGV, 5 do
  local kind, target, ttl, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  if kind == 'drop' then redis.call('UNLINK', target)
  elseif kind == 'made' then redis.call('HSET', KEYS[1], 'made:' .. target, ARGV[at + 4])
  elseif kind == 'put' then put(cmsgpack.unpack(ARGV[at + 4]), count, ttl)
  else stage(cmsgpack.unpack(ARGV[at + 4]), count, target, kind == 'stage') end
end
for i = 1, records do
  local record = ARGV[3 + 2 * i]
  if record ~= '' then redis.call('SET', KEYS[i + 1], record) end
end
return 'OK'`);

/**
 * Makes some staged rows visible. KEYS: owner, staging hash. ARGV after id and token: HSCAN's cursor and count, milliseconds to live,
 * 'hash' or 'json'. Returns the next cursor and how many rows are left.
 */
export const move: Script = script(`${checkOwner}
${writers}
local scanned = redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])
local rows = scanned[2]
local fields = {}
for i = 1, #rows, 2 do
  fields[#fields + 1] = rows[i]
  if rows[i + 1] == '' then rows[i + 1] = false
  elseif ARGV[6] == 'hash' then rows[i + 1] = cmsgpack.unpack(rows[i + 1]) end
end
put(rows, 2 * #fields, tonumber(ARGV[5]))
for i = 1, #fields, 500 do redis.call('HDEL', KEYS[2], unpack(fields, i, math.min(i + 499, #fields))) end
return { scanned[1], redis.call('HLEN', KEYS[2]) }`);

/**
 * Makes the staged states of sinks readable in one step. KEYS: owner, then of each sink its record and its staging hash. ARGV after id
 * and token, of each sink: the text that its record is known to have, the new one, 'hash' or 'json', milliseconds to live, and the
 * number and the packed array of the keys that the sink has; those that are not staged are deleted. A sink that has nothing staged and
 * no keys has a new record all the same.
 */
export const exchange: Script = script(`${checkOwner}
${writers}
local sinks = (#KEYS - 1) / 2
for i = 1, sinks do
  if (redis.call('GET', KEYS[2 * i]) or '') ~= ARGV[6 * i - 3] then return 'LOST' end
end
for i = 1, sinks do
  local at = 6 * i - 3
  local staged = KEYS[2 * i + 1]
  local count = tonumber(ARGV[at + 4])
  if count > 0 then
    for _, key in ipairs(cmsgpack.unpack(ARGV[at + 5])) do
      if redis.call('HEXISTS', staged, key) == 0 then redis.call('DEL', key) end
    end
  end
  local rows = redis.call('HGETALL', staged)
  if ARGV[at + 2] == 'hash' then
    for row = 2, #rows, 2 do rows[row] = cmsgpack.unpack(rows[row]) end
  end
  put(rows, #rows, tonumber(ARGV[at + 3]))
  redis.call('UNLINK', staged)
  redis.call('SET', KEYS[2 * i], ARGV[at + 1])
end
return 'OK'`);

/**
 * Deletes those of the keys that are not staged. KEYS: owner, staging hash. ARGV after id and token: keys, few enough for unpack.
 * Returns their number.
 */
export const sweep: Script = script(`${checkOwner}
local staged = redis.call('HMGET', KEYS[2], unpack(ARGV, 3))
local stale = {}
for i = 1, #staged do
  if not staged[i] then stale[#stale + 1] = ARGV[i + 2] end
end
if #stale > 0 then redis.call('DEL', unpack(stale)) end
return #stale`);

/**
 * Does what sinks do, to keys that nobody has, and leaves nothing: a user who lacks a permission is to hear of it before a write has
 * been half done. Deletes come first, so that what is made can be removed. KEYS: one of the program's own, then one of each sink.
 */
export const probe: Script = script(`
for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('UNLINK', KEYS[1])
local failure = nil
local function try(...)
  local reply = redis.pcall(...)
  if not failure and type(reply) == 'table' and reply.err then failure = reply end
end
try('HSET', KEYS[1], 'probe', '1')
try('HINCRBY', KEYS[1], 'token', 1)
try('HMGET', KEYS[1], 'probe')
try('HSCAN', KEYS[1], '0')
try('HLEN', KEYS[1])
try('HEXISTS', KEYS[1], 'probe')
try('HGETALL', KEYS[1])
try('HDEL', KEYS[1], 'probe')
for i = 1, #KEYS do
  redis.call('DEL', KEYS[i])
  try('MSET', KEYS[i], '')
  try('SET', KEYS[i], '', 'PX', 1000)
  try('GET', KEYS[i])
  redis.call('DEL', KEYS[i])
  try('HSET', KEYS[i], 'probe', '')
  try('PEXPIRE', KEYS[i], 1000)
  redis.call('DEL', KEYS[i])
end
return failure or 'OK'`);
