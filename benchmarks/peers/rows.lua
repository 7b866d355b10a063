-- wrk script: posts the bodies of a file in turn, one a line, and ends with one line of JSON.
-- Arguments after "--": the file, the path, then headers as "Name: value".
local requests, turn = {}, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for index = 3, #args do
    local name, value = args[index]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for body in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", args[2], headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.6f, "p90": %.6f, "p99": %.6f, "longest": %.6f, '
      .. '"refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(90) / 1e6,
    latency:percentile(99) / 1e6, latency.max / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
