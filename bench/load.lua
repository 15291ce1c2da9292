-- Posts bodies that no two requests share, and prints what came of it as one line of JSON.
-- Arguments after `--`: how many signals a request holds.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  rows = tonumber(args[1]) or 1
  made = 0
  prefix = tostring(number) .. "-" .. tostring(os.time()) .. "-"
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

local function signal()
  made = made + 1
  return '{"name":"Ada Lovelace","email":"ada' .. prefix .. made .. '@x.example","message":"A quote, please"}'
end

function request()
  if rows == 1 then
    return wrk.format(nil, nil, nil, signal())
  end
  local list = {}
  for index = 1, rows do
    list[index] = signal()
  end
  return wrk.format(nil, nil, nil, "[" .. table.concat(list, ",") .. "]")
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
