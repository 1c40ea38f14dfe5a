#!/usr/bin/env bash
# What the provider simulator takes: texts sent to it by wrk.
#
#   loadtest/wrk-sim.sh [PROGRAM]   PROGRAM is target/demo/loadtest unless told otherwise
#
# SECONDS_LONG (20), CONNECTIONS (100), THREADS (1) and PORT (9199) may be set. Tells requests per second, and processor
# time per request of the simulator and of wrk, which count for more where others use the machine too. The texts have no
# callback address: what is measured is what it takes to answer and to keep the record.
set -euo pipefail

PROGRAM=${1:-$(dirname "$0")/../target/demo/loadtest}
SECONDS_LONG=${SECONDS_LONG:-20} CONNECTIONS=${CONNECTIONS:-100} THREADS=${THREADS:-1} PORT=${PORT:-9199}
FOLDER=$(mktemp -d)
ACCOUNT=AC000000000000000000000000000051f0

command -v wrk >/dev/null || { echo 'wrk is not installed: apt install wrk, brew install wrk' >&2; exit 4; }
[[ -x $PROGRAM ]] || { echo "$PROGRAM is not there: cargo build --profile demo -p loadtest" >&2; exit 4; }

"$PROGRAM" provider-sim --listen "127.0.0.1:$PORT" &
SIMULATOR=$!
trap 'kill -INT $SIMULATOR 2>/dev/null || true; rm -rf "$FOLDER"' EXIT
until (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do
  kill -0 $SIMULATOR 2>/dev/null || { echo 'the simulator did not start' >&2; exit 4; }
  sleep 0.1
done

cat >"$FOLDER/text.lua" <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "Basic $(printf '%s:simulated-auth-token' "$ACCOUNT" | base64 -w0)"
wrk.body = "To=%2B14155550100&From=%2B15005550006&Body=School+is+closed+today%2C+stay+at+home."
done = function(summary)
  io.write(string.format("requests %d seconds %.2f refused %d broken %d\n", summary.requests, summary.duration / 1e6,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
LUA

# Clock ticks of a process, all threads; a tick is 10 ms wherever Linux runs.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

before=$(ticks $SIMULATOR)
TIMEFORMAT='%U %S'
{ time wrk -t "$THREADS" -c "$CONNECTIONS" -d "${SECONDS_LONG}s" --latency -s "$FOLDER/text.lua" \
  "http://127.0.0.1:$PORT/2010-04-01/Accounts/$ACCOUNT/Messages.json" >"$FOLDER/wrk"; } 2>"$FOLDER/time"
after=$(ticks $SIMULATOR)
resident=$(awk '/VmRSS/ { print $2 / 1024 }' "/proc/$SIMULATOR/status")

cat "$FOLDER/wrk"
awk -v ticks=$((after - before)) -v resident="$resident" '
  FNR == NR { client = $1 + $2; next }
  /^requests/ {
    printf "%.0f requests/s, %.1f us of processor each in the simulator, %.1f us in wrk; %.0f MB resident\n",
      $2 / $4, ticks * 10000 / $2, client * 1e6 / $2, resident
    if ($6 + $8 > 0) { print "not every request was taken in time"; exit 1 }
  }' "$FOLDER/time" "$FOLDER/wrk"
