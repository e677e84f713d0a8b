"""What `bot.store` has Redis do in one step: Lua scripts, each with its keys and arguments."""

PERSON = """
local found = redis.call('GET', KEYS[1])
if found then return found end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
return ARGV[1]
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

# KEYS: inbox row, todo, then the locks. ARGV: token, event id, retention, commands as JSON. The decided row keeps no words.
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
