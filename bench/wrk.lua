-- Calls a tool in a closed loop, each call with an id of its own, and looks into every hundredth answer.
--
-- Arguments: the first id; "check" or "trust"; then one file per session with a whole HTTP request, in
-- which @ID@ stands for the id. All ids have the same number of digits, so that lengths stay true.

local LOOK_AT_EACH = 100

local templates = {}
local next_id
local is_checked
local answers = 0
checked = 0
wrong = 0
sample = ""

local function parts_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  local parts, from = {}, 1
  while true do
    local first, last = text:find("@ID@", from, true)
    parts[#parts + 1] = text:sub(from, (first or 0) - 1)
    if not first then return parts end
    from = last + 1
  end
end

function init(args)
  next_id = tonumber(args[1])
  is_checked = args[2] == "check"
  for i = 3, #args do
    templates[#templates + 1] = parts_of(args[i])
  end
end

function request()
  local id = string.format("%d", next_id)
  local parts = templates[next_id % #templates + 1]
  next_id = next_id + 1
  return table.concat(parts, id)
end

function response(status, _, body)
  answers = answers + 1
  if not is_checked or answers % LOOK_AT_EACH ~= 1 then return end
  checked = checked + 1
  -- The answer must be this caller's own: what the tool returns ends in the id of the call.
  local id = body:match('"id":%s*(%d+)')
  if status ~= 200 or not id or not body:find("number" .. id, 1, true) then
    wrong = wrong + 1
    sample = status .. " " .. body:sub(1, 200)
  end
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency, _)
  local all_checked, all_wrong, seen = 0, 0, ""
  for _, thread in ipairs(threads) do
    all_checked = all_checked + thread:get("checked")
    all_wrong = all_wrong + thread:get("wrong")
    seen = thread:get("sample")
  end
  local errors = summary.errors
  io.write(string.format(
    'result {"requests": %d, "microseconds": %d, "p50": %d, "p95": %d, "p99": %d, "socket_errors": %d, '
      .. '"timeouts": %d, "status_errors": %d, "checked": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), errors.connect + errors.read + errors.write, errors.timeout, errors.status,
    all_checked, all_wrong))
  io.write("sample " .. seen:gsub("%s+", " ") .. "\n")
end
