# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which exports the addresses set here and stops at the first error.
#
# Ports and waiting, for bash alone: neither nc nor ss is needed.

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints a port on which nothing listens now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    port_open "$port" || break
  done
  echo "$port"
}

# wait_for WHAT SECONDS CMD…: until CMD succeeds; fails when the time is over.
wait_for() {
  local what=$1 until=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= until)); then
      say "$what did not come up"
      return 1
    fi
    sleep 0.2
  done
}

# Servers that refuse to be root run as the user their package made, or as nobody. Prints what to put before a command.
as_user() {
  if ((EUID != 0)); then return; fi
  if ! id "$1" >/dev/null 2>&1; then set -- nobody; fi
  echo "runuser -u $1 --"
}
