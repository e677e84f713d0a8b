"""What `bot.store` has Redis do in one step: Lua scripts, each with its keys and arguments."""

# KEYS: an alias, the person that they would be. ARGV: that one's id and row.
PERSON = """
local found = redis.call('GET', KEYS[1])
if not found then
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], ARGV[2])
end
found = found or ARGV[1]
if redis.call('HEXISTS', 'bot:accounts:' .. found, KEYS[1]) == 0 then
  redis.call('HSET', 'bot:accounts:' .. found, KEYS[1], '')
end
return found
"""

# KEYS: a row. ARGV: what it held, what it is to hold.
SWAP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
"""

HEAR = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then
  redis.call('RPUSH', KEYS[2], ARGV[3])
  return 1
end
return 0
"""

HOLD = """
for _, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if holder and holder ~= ARGV[1] then return 0 end
end
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
return 1
"""

# KEYS: the locks. ARGV: token, lease in ms. All of them or none: who has lost one has lost its event.
RENEW = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= ARGV[1] then return 0 end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return 1
"""

# KEYS: a lock. ARGV: token.
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

# KEYS: inbox row, todo, then the locks. ARGV: token, event id, retention, commands as JSON, whose event it is. The decided
# row keeps no words. Whoever was linked since the event was read is somebody else by now: nothing is written by the old id.
COMMIT = """
for i = 3, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 'lost' end
end
local row = redis.call('GET', KEYS[1])
if not row or row == 'decided' then
  redis.call('LREM', KEYS[2], 0, ARGV[2])
  for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
  return 'again'
end
if redis.call('HEXISTS', 'bot:moved', ARGV[5]) == 1 then
  for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
  return 'moved'
end
for _, op in ipairs(cjson.decode(ARGV[4])) do redis.call(unpack(op)) end
redis.call('SET', KEYS[1], 'decided', 'EX', ARGV[3])
redis.call('LREM', KEYS[2], 0, ARGV[2])
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
return 'done'
"""


# KEYS: a conversation's messages, a turn. ARGV: the message's key and row; what the turn's row must hold ("": there is no
# turn), and its row from now on.
FINISH = """
local message = redis.call('HGET', KEYS[1], ARGV[1])
if not message or not string.find(message, '"live":true', 1, true) then return 0 end
if ARGV[3] ~= '' then
  local row = redis.call('GET', KEYS[2])
  if not row or not string.find(row, ARGV[3], 1, true) then return 0 end
  redis.call('SET', KEYS[2], ARGV[4], 'KEEPTTL')
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""


# KEYS: the maker's newest code, the code. ARGV: digest, seconds, row.
CODE = """
local before = redis.call('GET', KEYS[1])
if before then redis.call('DEL', 'bot:code:' .. before) end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[2])
"""

# KEYS: the code. ARGV: who goes, who stays; the rows of both as they were read ("" for none), and the row of who stays as it
# is to be. The one step that decides a link: a code is good once, and whatever was done by the old id is the new one's.
LINK = """
local goes, stays = ARGV[1], ARGV[2]
local now = redis.call('HGET', 'bot:moved', goes)
if now then return now == stays and 'done' or 'gone' end
if redis.call('HEXISTS', 'bot:moved', stays) == 1 then return 'gone' end
local code = redis.call('GET', KEYS[1])
if not code or string.match(code, '^%S+') ~= stays then return 'gone' end
local on = {}
for _, alias in ipairs(redis.call('HKEYS', 'bot:accounts:' .. stays)) do
  on[string.match(alias, '^bot:alias:([^:]+)')] = true
end
local mine = redis.call('HKEYS', 'bot:accounts:' .. goes)
for _, alias in ipairs(mine) do
  if on[string.match(alias, '^bot:alias:([^:]+)')] then return 'taken' end
end
if (redis.call('GET', 'bot:person:' .. goes) or '') ~= ARGV[3] then return 'changed' end
if (redis.call('GET', 'bot:person:' .. stays) or '') ~= ARGV[4] then return 'changed' end
local other = redis.call('GET', 'bot:coded:' .. goes)
if other then redis.call('DEL', 'bot:code:' .. other) end
redis.call('DEL', KEYS[1], 'bot:coded:' .. stays, 'bot:coded:' .. goes, 'bot:person:' .. goes, 'bot:accounts:' .. goes)
redis.call('SET', 'bot:person:' .. stays, ARGV[5])
for _, alias in ipairs(mine) do
  redis.call('SET', alias, stays)
  redis.call('HSET', 'bot:accounts:' .. stays, alias, '')
end
local moved = redis.call('HGETALL', 'bot:moved')
for i = 1, #moved, 2 do
  if moved[i + 1] == goes then redis.call('HSET', 'bot:moved', moved[i], stays) end
end
redis.call('HSET', 'bot:moved', goes, stays)
return 'done'
"""

# ARGV: platform, who it is taken from, who it goes to and their row; then the acts whose uses go along: nobody gets quotas
# anew by it. Doing it again does nothing.
PART = """
local platform, from, to = ARGV[1], ARGV[2], ARGV[3]
local found = 0
for _, alias in ipairs(redis.call('HKEYS', 'bot:accounts:' .. from)) do
  if string.match(alias, '^bot:alias:([^:]+)') == platform then
    redis.call('SET', alias, to)
    redis.call('HDEL', 'bot:accounts:' .. from, alias)
    redis.call('HSET', 'bot:accounts:' .. to, alias, '')
    found = found + 1
  end
end
if found == 0 then return 0 end
redis.call('SET', 'bot:person:' .. to, ARGV[4])
for i = 5, #ARGV do
  local used = 'bot:used:' .. from .. ':' .. ARGV[i]
  local left = redis.call('PTTL', used)
  if left > 0 then
    redis.call('ZUNIONSTORE', 'bot:used:' .. to .. ':' .. ARGV[i], 1, used)
    redis.call('PEXPIRE', 'bot:used:' .. to .. ':' .. ARGV[i], left)
  end
end
local user, place = 'bot:user:' .. platform .. ':', platform .. ':@'
if redis.call('EXISTS', user .. from) == 1 then redis.call('RENAME', user .. from, user .. to) end
local room = redis.call('GET', 'bot:room:' .. place .. from)
if room then
  redis.call('RENAME', 'bot:room:' .. place .. from, 'bot:room:' .. place .. to)
  redis.call('SET', 'bot:rooms:' .. platform .. ':' .. room, place .. to)
end
return found
"""

# KEYS: rows of any kind. ARGV: an id. Returns the names of those that name it.
NAMING = """
local found = {}
local function names(value)
  if type(value) == 'table' then
    for _, one in ipairs(value) do if names(one) then return true end end
    return false
  end
  return string.find(value, ARGV[1], 1, true) ~= nil
end
local reads = {string = {'GET'}, hash = {'HGETALL'}, zset = {'ZRANGE', 0, -1}}
for _, key in ipairs(KEYS) do
  local read = reads[redis.call('TYPE', key).ok]
  if names(key) or (read and names(redis.call(read[1], key, unpack(read, 2)))) then found[#found + 1] = key end
end
return found
"""

# KEYS: a row, and what it is called from now on (the same, or another, whose own row gets what it lacks). ARGV: the id that
# goes, the one that stays. The ids are letters and digits only: no pattern is in them.
TURN = """
local from, to = KEYS[1], KEYS[2]
local kind = redis.call('TYPE', from).ok
local function turned(text) return (string.gsub(text, ARGV[1], ARGV[2])) end
if kind == 'none' then return 0 end
local left, there = redis.call('PTTL', from), redis.call('PTTL', to)
if kind == 'string' then
  local value = redis.call('GET', from)
  if from == to then redis.call('SET', to, turned(value), 'KEEPTTL') else redis.call('SET', to, turned(value), 'NX') end
elseif kind == 'hash' then
  local all = redis.call('HGETALL', from)
  for i = 1, #all, 2 do
    local field = turned(all[i])
    if from == to then
      if field ~= all[i] then redis.call('HDEL', from, all[i]) end
      redis.call('HSET', to, field, turned(all[i + 1]))
    else
      redis.call('HSETNX', to, field, turned(all[i + 1]))
    end
  end
elseif kind == 'zset' then
  local all = redis.call('ZRANGE', from, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local member = turned(all[i])
    if from == to and member ~= all[i] then redis.call('ZREM', from, all[i]) end
    redis.call('ZADD', to, 'NX', all[i + 1], member)
  end
end
if from ~= to then
  redis.call('DEL', from)
  if left > 0 and (there == -2 or (there >= 0 and left > there)) then redis.call('PEXPIRE', to, left) end
  if left == -1 and there >= 0 then redis.call('PERSIST', to) end
end
return 1
"""

# KEYS: runs whose steps are told. ARGV: a run, how its row must begin. Take it out if it does.
UNWATCH = """
local row = redis.call('HGET', KEYS[1], ARGV[1])
return row and string.sub(row, 1, #ARGV[2]) == ARGV[2] and redis.call('HDEL', KEYS[1], ARGV[1]) or 0
"""
