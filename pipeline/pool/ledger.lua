-- Every change of a run, each a script that Redis runs alone: its record, its steps, its place in a lane, its lease.
-- `ledger.py` sends the part before the first section together with one section. Keys are those of ledger.KEYS.

local KEPT_S = 30 * 86400
local STEPS = 1000          -- that a run's stream keeps
local FIRST = 1000000       -- the virtual time that a lane begins with; arq takes a score of 0 for none
local DUE = 1000000000000   -- a score above it is a time in ms, before which the run is not taken
local BELLS = 64            -- a bell that rang so often without being heard says nothing more
local SPENT = 50            -- times that are remembered of each stage
local SCANNED = 2000        -- runs that are looked at for one whose person may have another running
local ORDERS = 8            -- askings of a run that are known by their names
local THUMBS = 500          -- samples of a run that people say of what they think

local function has(list, name)
  return string.find(' ' .. list .. ' ', ' ' .. name .. ' ', 1, true) ~= nil
end

-- A list without the names of another.
local function without(list, names)
  local left = {}
  for name in string.gmatch(list or '', '%S+') do
    if not has(names, name) then table.insert(left, name) end
  end
  return table.concat(left, ' ')
end

-- The names of the last askings, the newest in front.
local function newest(order, heard)
  if order == '' then return heard or '' end
  local names = {order}
  for name in string.gmatch(without(heard, order), '%S+') do
    if #names < ORDERS then table.insert(names, name) end
  end
  return table.concat(names, ' ')
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function of(run, ...)
  return unpack(redis.call('HMGET', 'run:' .. run, ...))
end

local function step(run, state, at, stage, fraction, facts)
  local key = 'run:' .. run
  local number = redis.call('HINCRBY', key, 'number', 1)
  redis.call('HSET', key, 'state', state, 'facts', facts)
  redis.call('XADD', key .. ':steps', 'MAXLEN', '~', STEPS, '*', 'number', number, 'state', state, 'at', at,
    'stage', stage, 'fraction', fraction, 'facts', facts)
  for _, name in ipairs({key, key .. ':steps', key .. ':files', key .. ':thumbs'}) do redis.call('EXPIRE', name, KEPT_S) end
  redis.call('PUBLISH', 'runs', run)
end

-- Scopes are what limits hold for, such as "person:p1=20,2": at most 20 that wait and 2 that run, 0 for no limit.
local function count(run, what, by)
  for name in string.gmatch(of(run, 'scopes') or '', '(%S+)=%d+,%d+') do
    if redis.call('HINCRBY', 'runs:' .. what, name, by) <= 0 then redis.call('HDEL', 'runs:' .. what, name) end
  end
end

local function over(scopes, what)
  for name, waiting, running in string.gmatch(scopes or '', '(%S+)=(%d+),(%d+)') do
    local most = tonumber(what == 'waiting' and waiting or running)
    if most > 0 and tonumber(redis.call('HGET', 'runs:' .. what, name) or 0) >= most then return name, most end
  end
end

local function ring(bell)
  redis.call('RPUSH', bell, 1)
  redis.call('LTRIM', bell, -BELLS, -1)
  redis.call('EXPIRE', bell, 60)
end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): a run's start tag is the lane's virtual time or its person's finish
-- tag, whichever is later; the finish tag lies its cost by its weight behind; the lane's time is the last start tag taken.
local function tag(lane, person, cost, weight)
  local shares = 'lane:' .. lane .. ':shares'
  local start = math.max(tonumber(redis.call('HGET', shares, '#') or FIRST), tonumber(redis.call('HGET', shares, person) or 0))
  redis.call('HSET', shares, person, string.format('%.6f', start + cost / weight))
  redis.call('EXPIRE', shares, KEPT_S)
  return string.format('%.6f', start)
end

local function line_up(run, lane, score)
  redis.call('ZADD', 'lane:' .. lane, score, run)
  redis.call('PEXPIRE', 'arq:job:' .. run, KEPT_S * 1000)
  ring('lane:' .. lane .. ':bell')
end

-- Take a run out of the hands of whoever carries it, or out of those that wait.
local function let_go(run)
  redis.call('DEL', 'arq:in-progress:' .. run)
  if redis.call('HDEL', 'runs:carried', run) == 1 then count(run, 'running', -1) else count(run, 'waiting', -1) end
end

local function finish(run, state, at, facts)
  let_go(run)
  redis.call('ZREM', 'lane:' .. of(run, 'lane'), run)
  redis.call('DEL', 'arq:job:' .. run, 'arq:retry:' .. run)
  step(run, state, at, '', 0, facts)
end

-- Give back what a run that never ran took of its person's share.
local function refund(run)
  local lane, person, cost, weight, fence = of(run, 'lane', 'person', 'cost', 'weight', 'fence')
  local shares = 'lane:' .. lane .. ':shares'
  local finished = tonumber(redis.call('HGET', shares, person) or 0)
  if fence == '0' and finished > 0 then
    redis.call('HSET', shares, person, string.format('%.6f', finished - cost / weight))
  end
end

local function wait_again(run, at, facts, score)
  let_go(run)
  count(run, 'waiting', 1)
  step(run, 'waiting', at, '', 0, facts)
  line_up(run, of(run, 'lane'), score)
end

-- Runs whose lease ran out wait again; those that were to stop are over.
local function reap(at)
  local lost = {}
  local carried = redis.call('HKEYS', 'runs:carried')
  for _, run in ipairs(carried) do
    if redis.call('EXISTS', 'arq:in-progress:' .. run) == 0 then
      local state, worker, start = of(run, 'state', 'worker', 'start')
      if state == 'running' then
        wait_again(run, at, cjson.encode({lost = worker}), start)
        table.insert(lost, run)
      elseif state == 'stopping' then
        finish(run, 'cancelled', at, of(run, 'facts'))
      else
        redis.call('HDEL', 'runs:carried', run)
      end
    end
  end
  return lost
end

--- start: run at recipe person weight lane wanted cost scopes body order redo
local run, at, recipe, person, weight, lane, wanted, cost, scopes, body, order, redo = unpack(ARGV)
local state, before, did, heard = of(run, 'state', 'wanted', 'did', 'order')
if state and order ~= '' and has(heard or '', order) then return {'there'} end -- whoever asks had no answer the first time
order = newest(order, heard)
if state == 'waiting' or state == 'running' then
  -- What is being performed may have begun with what was wanted before: it counts as done only the time after.
  local now = string.match(without(before, did), '%S+')
  if state == 'running' and now and has(redo, now) then redis.call('HSET', 'run:' .. run, 'again', now) end
  for name in string.gmatch(wanted, '%S+') do
    if not has(before, name) then before = before .. ' ' .. name end
  end
  redis.call('HSET', 'run:' .. run, 'wanted', before, 'did', without(did, redo), 'order', order)
  return {'there'}
elseif state == 'stopping' then
  return {'there'}
elseif state == 'done' then
  did = without(did, redo)
  if without(wanted, did) == '' then return {'there'} end
else
  did = ''
end
local scope, most = over(scopes, 'waiting')
if scope then return {'full', scope, most} end
local fence = redis.call('HINCRBY', 'run:' .. run, 'fence', state and 1 or 0)
redis.call('HSETNX', 'run:' .. run, 'number', -1)
redis.call('HSET', 'run:' .. run, 'recipe', recipe, 'person', person, 'weight', weight, 'lane', lane, 'wanted', wanted,
  'did', did, 'cost', cost, 'scopes', scopes, 'tries', 0, 'worker', '', 'start', tag(lane, person, cost, weight), 'asked', at,
  'order', order, 'found', '{}')
redis.call('ZREM', 'runs:dead', run)
redis.call('SET', 'arq:job:' .. run, body, 'PX', KEPT_S * 1000)
count(run, 'waiting', 1)
step(run, 'waiting', at, '', 0, '{}')
line_up(run, lane, of(run, 'start'))
return {'begun'}

--- refuse: run at facts wanted
local run, at, facts, wanted = unpack(ARGV)
local state = of(run, 'state')
if state == 'waiting' or state == 'running' or state == 'stopping' then return 0 end
redis.call('HSETNX', 'run:' .. run, 'number', -1)
for _, name in ipairs({'recipe', 'person', 'lane', 'wanted', 'did', 'scopes', 'worker'}) do
  redis.call('HSETNX', 'run:' .. run, name, '')
end
redis.call('HINCRBY', 'run:' .. run, 'fence', 1)
redis.call('HSET', 'run:' .. run, 'wanted', wanted)
step(run, 'waiting', at, '', 0, '{}')
step(run, 'failed', at, '', 0, facts)
return 1

--- look: lane most at
local lane, most, at = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local queue, found, lost = 'lane:' .. lane, {}, reap(at)
if redis.call('EXISTS', queue) == 0 then return {found, lost} end -- as nearly always at rest
for _, run in ipairs(redis.call('ZRANGEBYSCORE', queue, DUE, now_ms(), 'LIMIT', 0, 100)) do
  redis.call('ZADD', queue, of(run, 'start') or FIRST, run)
end
if most == 0 or redis.call('EXISTS', queue .. ':paused') == 1 then return {found, lost} end
for first = 0, SCANNED - 1, 100 do
  local rows = redis.call('ZRANGE', queue, first, first + 99, 'WITHSCORES')
  for index = 1, #rows, 2 do
    local run = rows[index]
    if #found == most or tonumber(rows[index + 1]) > DUE then return {found, lost} end
    if redis.call('EXISTS', 'arq:in-progress:' .. run) == 0 and not over(of(run, 'scopes'), 'running') then
      table.insert(found, run)
    end
  end
  if #rows < 200 then break end
end
return {found, lost}

--- reap: at
return reap(ARGV[1])

--- claim: run worker lease_ms at
local run, worker, lease_ms, at = unpack(ARGV)
local lease = 'arq:in-progress:' .. run
local state, lane, fence, start, scopes = of(run, 'state', 'lane', 'fence', 'start', 'scopes')
if state ~= 'waiting' and state ~= 'running' and state ~= 'stopping' then
  for _, name in ipairs({'cpu', 'gpu'}) do redis.call('ZREM', 'lane:' .. name, run) end
  redis.call('DEL', lease, 'arq:job:' .. run, 'arq:retry:' .. run)
  return {'over'}
end
local held = redis.call('GET', lease)
if held and held ~= '1' then return {'taken'} end
if state == 'stopping' then
  finish(run, 'cancelled', at, of(run, 'facts'))
  return {'over'}
end
if state == 'waiting' then
  if over(scopes, 'running') then
    redis.call('DEL', lease)
    return {'taken'}
  end
  count(run, 'waiting', -1)
  count(run, 'running', 1)
end
fence = redis.call('HINCRBY', 'run:' .. run, 'fence', 1)
local tries = redis.call('HINCRBY', 'run:' .. run, 'tries', 1)
redis.call('SET', lease, worker .. ':' .. fence, 'PX', lease_ms)
redis.call('HSET', 'runs:carried', run, lane)
redis.call('HSET', 'run:' .. run, 'worker', worker, 'claimed', at, 'again', '')
local shares = 'lane:' .. lane .. ':shares'
if tonumber(start) > tonumber(redis.call('HGET', shares, '#') or FIRST) then redis.call('HSET', shares, '#', start) end
step(run, 'running', at, '', 0, '{}')
return {'ours', fence, tries}

--- renew: worker lease_ms at run fence [run fence ...]
local worker, lease_ms, at = unpack(ARGV)
local found = {}
for index = 4, #ARGV, 2 do
  local run, mine = ARGV[index], ARGV[index + 1]
  local lease, token = 'arq:in-progress:' .. run, worker .. ':' .. mine
  local state, fence, facts = of(run, 'state', 'fence', 'facts')
  local held = redis.call('GET', lease)
  if fence ~= mine or (held and held ~= token and held ~= '1') then
    state = 'lost'
  elseif state == 'waiting' and of(run, 'worker') == worker then -- the lease ran out while Redis was away, and is free still
    count(run, 'waiting', -1)
    count(run, 'running', 1)
    redis.call('HSET', 'runs:carried', run, of(run, 'lane'))
    step(run, 'running', at, '', 0, '{}')
    state = 'running'
  end
  if state == 'running' or state == 'stopping' then redis.call('SET', lease, token, 'PX', lease_ms) else state = 'lost' end
  table.insert(found, state)
  table.insert(found, of(run, 'rated') or '0')
end
return found

--- tell: run fence at stage fraction facts
local run, mine, at, stage, fraction, facts = unpack(ARGV)
local state, fence = of(run, 'state', 'fence')
if fence ~= mine then return 'lost' end
if state == 'running' then
  if stage ~= '' and stage ~= of(run, 'stage') then redis.call('HSET', 'run:' .. run, 'stage', stage, 'claimed', at) end
  step(run, state, at, stage, fraction, facts)
elseif state == 'stopping' then
  redis.call('HSET', 'run:' .. run, 'facts', facts)
end
return state

--- did: run fence stage seconds [path blob ...]
local run, mine, stage, seconds = unpack(ARGV)
local state, fence, recipe, did, again = of(run, 'state', 'fence', 'recipe', 'did', 'again')
if fence ~= mine then return 'lost' end
for index = 5, #ARGV, 2 do redis.call('HSET', 'run:' .. run .. ':files', ARGV[index], ARGV[index + 1]) end
if stage ~= '' then
  if again ~= stage and not has(did, stage) then did = did == '' and stage or did .. ' ' .. stage end
  redis.call('HSET', 'run:' .. run, 'did', did, 'again', '', 'tries', 1, 'found', of(run, 'facts'))
  local spent = 'runs:spent:' .. recipe .. ':' .. stage
  redis.call('LPUSH', spent, seconds)
  redis.call('LTRIM', spent, 0, SPENT - 1)
  redis.call('EXPIRE', spent, KEPT_S)
end
return state

--- finish: run fence state at facts dead
local run, mine, to, at, facts, dead = unpack(ARGV)
local state, fence, stage, wanted, did = of(run, 'state', 'fence', 'stage', 'wanted', 'did')
if fence ~= mine or (state ~= 'running' and state ~= 'stopping') then return 'lost' end
if state == 'stopping' then to = 'cancelled' end
if to == 'done' then -- somebody may have asked for more meanwhile
  for name in string.gmatch(wanted, '%S+') do
    if not has(did, name) then return 'more' end
  end
  -- An earlier attempt may have done the last stage, and died before it said so.
  if facts == '{}' then facts = redis.call('HGET', 'run:' .. run, 'found') or facts end
end
finish(run, to, at, facts)
if dead == '1' and to == 'failed' then
  redis.call('ZADD', 'runs:dead', at, run)
  redis.call('ZREMRANGEBYSCORE', 'runs:dead', '-inf', at - KEPT_S)
  redis.call('EXPIRE', 'runs:dead', KEPT_S)
end
return to

--- back: run fence at facts delay_ms lane forgiven
local run, mine, at, facts, delay_ms, lane, forgiven = unpack(ARGV)
local state, fence, before, person, cost, weight = of(run, 'state', 'fence', 'lane', 'person', 'cost', 'weight')
if fence ~= mine or (state ~= 'running' and state ~= 'stopping') then return 'lost' end
if state == 'stopping' then
  finish(run, 'cancelled', at, of(run, 'facts'))
  return 'cancelled'
end
if lane ~= before then
  redis.call('ZREM', 'lane:' .. before, run)
  redis.call('HSET', 'run:' .. run, 'lane', lane, 'start', tag(lane, person, cost, weight))
end
redis.call('HSET', 'run:' .. run, 'worker', '') -- a renewal that is on its way is not to take it up again
if forgiven == '1' then redis.call('HINCRBY', 'run:' .. run, 'tries', -1) end
wait_again(run, at, facts, tonumber(delay_ms) > 0 and now_ms() + delay_ms or of(run, 'start'))
return 'waiting'

--- cancel: run at by
local run, at, by = unpack(ARGV)
local state, facts, worker = of(run, 'state', 'facts', 'worker')
if state ~= 'waiting' and state ~= 'running' then return state or '' end
facts = string.sub(facts, 1, -2) .. (facts == '{}' and '' or ', ') .. '"by": ' .. cjson.encode(by) .. '}'
step(run, 'stopping', at, '', 0, facts)
if state == 'waiting' then
  refund(run)
  finish(run, 'cancelled', at, facts)
  return 'cancelled'
end
ring('bell:' .. worker .. ':' .. of(run, 'lane'))
return 'stopping'

--- rate: run sample thumb person
local run, sample, thumb, person = unpack(ARGV)
local state, worker, lane = of(run, 'state', 'worker', 'lane')
local key, said = 'run:' .. run .. ':thumbs', thumb .. ' ' .. person
local before = redis.call('HGET', key, sample)
if not state or (thumb ~= '' and not before and redis.call('HLEN', key) >= THUMBS) then return 0 end
if before == said or (thumb == '' and not before) then return 1 end
if thumb == '' then
  redis.call('HDEL', key, sample)
else
  redis.call('HSET', key, sample, said)
  redis.call('EXPIRE', key, redis.call('TTL', 'run:' .. run))
end
redis.call('HINCRBY', 'run:' .. run, 'rated', 1)
if state == 'running' then ring('bell:' .. worker .. ':' .. lane) end
return 1

--- again: run body
local run, body = unpack(ARGV)
local state = of(run, 'state')
if redis.call('GET', 'arq:in-progress:' .. run) == '1' then redis.call('DEL', 'arq:in-progress:' .. run) end
if state == 'waiting' or state == 'running' or state == 'stopping' then
  redis.call('SET', 'arq:job:' .. run, body, 'PX', KEPT_S * 1000)
else
  for _, name in ipairs({'cpu', 'gpu'}) do redis.call('ZREM', 'lane:' .. name, run) end
  redis.call('DEL', 'arq:job:' .. run, 'arq:retry:' .. run)
end
return 1

--- forget: run
local run = ARGV[1]
local state = of(run, 'state')
if state and not has('done failed cancelled', state) then return 0 end
for _, what in ipairs({'', ':steps', ':files', ':thumbs'}) do redis.call('DEL', 'run:' .. run .. what) end
redis.call('ZREM', 'runs:dead', run)
return 1

--- recount:
-- What counts were kept of runs whose record went by itself, after 30 days in a lane that nobody serves, is put right.
redis.call('DEL', 'runs:waiting', 'runs:running')
for _, lane in ipairs({'cpu', 'gpu'}) do
  for _, run in ipairs(redis.call('ZRANGE', 'lane:' .. lane, 0, -1)) do
    if redis.call('EXISTS', 'run:' .. run) == 0 then
      redis.call('ZREM', 'lane:' .. lane, run)
      redis.call('HDEL', 'runs:carried', run)
    else
      count(run, redis.call('HEXISTS', 'runs:carried', run) == 1 and 'running' or 'waiting', 1)
    end
  end
end
return 1

--- register: worker lease_ms told draining sweep lane slots [lane slots]
local worker, lease_ms, told, draining, sweep = unpack(ARGV)
local now = now_ms()
redis.call('SET', 'worker:' .. worker, told, 'PX', 2 * lease_ms)
for index = 6, #ARGV, 2 do
  local key = 'lane:' .. ARGV[index] .. ':workers'
  redis.call('ZADD', key, draining == '1' and 0 or now + 2 * lease_ms, worker .. ' ' .. ARGV[index + 1])
  if sweep == '1' then
    redis.call('ZREMRANGEBYSCORE', key, 1, now - 1)
    redis.call('EXPIRE', key, 86400)
  end
end
return redis.call('EXISTS', 'drain:' .. worker)

--- up: run
local run = ARGV[1]
local state, lane = of(run, 'state', 'lane')
if state ~= 'waiting' then return 0 end
local first = redis.call('ZRANGE', 'lane:' .. lane, 0, 0, 'WITHSCORES')
redis.call('ZADD', 'lane:' .. lane, string.format('%.6f', math.min(tonumber(first[2]), FIRST) - 0.001), run)
ring('lane:' .. lane .. ':bell')
return 1

--- place: run
local run = ARGV[1]
local state, lane = of(run, 'state', 'lane')
local queue = 'lane:' .. (lane or '')
local mine = tonumber(redis.call('ZSCORE', queue, run) or 0)
local place = (redis.call('ZRANK', queue, run) or 0) + 1
local rows = redis.call('HGETALL', 'runs:carried')
for index = 1, #rows, 2 do
  local score = rows[index + 1] == lane and tonumber(redis.call('ZSCORE', queue, rows[index]) or DUE)
  if score and (score < mine or (score == mine and rows[index] < run)) then place = place - 1 end
end
local hands = 0
for _, row in ipairs(redis.call('ZRANGEBYSCORE', queue .. ':workers', now_ms(), '+inf')) do
  hands = hands + tonumber(string.match(row, '%d+$'))
end
return {state == 'waiting' and place or 0, hands, redis.call('EXISTS', queue .. ':paused')}
