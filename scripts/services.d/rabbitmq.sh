# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which exports the addresses set here and stops at the first error.
#
# RabbitMQ on the default port, and one of our own.

rabbitmq_script() {
  local script
  # The script behind the one on the PATH of Debian's package, which insists on a user of its own.
  for script in "${TOCSIN_TEST_RABBITMQ_SERVER:-}" /usr/lib/rabbitmq/bin/rabbitmq-server \
    /opt/rabbitmq/sbin/rabbitmq-server /opt/homebrew/sbin/rabbitmq-server; do
    if [[ -x $script ]]; then
      echo "$script"
      return 0
    fi
  done
  return 1
}

have_rabbitmq() { rabbitmq_script >/dev/null; }

# Prints the next AMQP frame's payload from file descriptor 3, in hexadecimal.
read_frame() {
  local header
  header=$(timeout 3 head -c 7 <&3 | od -An -v -tx1 | tr -d ' \n')
  ((${#header} == 14)) || return 1
  # Type, channel, and the size of what follows; a byte ends the frame.
  timeout 3 head -c $((16#${header:6:8} + 1)) <&3 | od -An -v -tx1 | tr -d ' \n'
}

# amqp_login PORT USER PASSWORD: says hello in AMQP 0-9-1, as far as Connection.Tune (class 10, method 30), which only
# a known user gets.
amqp_login() {
  local answer
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'AMQP\x00\x00\x09\x01' >&3
    read_frame >/dev/null || exit 1
    login=$((2 + ${#2} + ${#3}))
    # Connection.Start-Ok (class 10, method 11): no properties, mechanism, response, locale. All lengths are below 256.
    printf '\x01\x00\x00\x00\x00\x00%b' "$(hex_byte $((24 + login)))" >&3
    printf '\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00%b' "$(hex_byte "$login")" >&3
    printf '\x00%s\x00%s\x05en_US\xce' "$2" "$3" >&3
    read_frame
  )
  [[ $answer == 000a001e* ]]
}

hex_byte() { printf '\\x%02x' "$1"; }

# rabbitmqctl where it may be used: by root, or by a sudo that asks for nothing.
rabbitmqctl_works() {
  local sudo=()
  command -v rabbitmqctl >/dev/null || return 1
  if ((EUID != 0)); then sudo=(sudo -n); fi
  [[ $(timeout 30 ${sudo[@]+"${sudo[@]}"} rabbitmqctl eval 'ok.' 2>/dev/null) == ok ]]
}

management_answers() {
  port_open "$1" || return 1
  local answer
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET /api/whoami HTTP/1.0\r\nauthorization: Basic %s\r\n\r\n' "$(printf %s "$2" | base64)" >&3
    timeout 3 head -1 <&3
  )
  [[ $answer == *' 200 '* ]]
}

local_rabbitmq() {
  port_open 5672 && amqp_login 5672 guest guest || return 1
  if management_answers 15672 guest:guest; then
    export RABBITMQ_MANAGEMENT_URL=http://guest:guest@127.0.0.1:15672
  elif ! rabbitmqctl_works; then
    return 1
  fi
  AMQP_URL=amqp://guest:guest@127.0.0.1:5672/%2f
}

# Runs as the current user, root too, with everything it has in one folder.
private_rabbitmq() {
  local folder=$STATE/rabbitmq port management_port epmd_port script
  script=$(rabbitmq_script)
  port=$(free_port)
  management_port=$(free_port)
  epmd_port=$(free_port)
  mkdir -p "$folder"
  echo '[rabbitmq_management].' >"$folder/plugins"
  cat >"$folder/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:$port
management.tcp.ip = 127.0.0.1
management.tcp.port = $management_port
CONF
  STOPS+=("stop_private_rabbitmq $(printf %q "$folder") $epmd_port")
  (
    cd "$folder"
    # Quorum queues reserve file handles by the hundred.
    ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
    # The script becomes the broker itself, so that its process id is the broker's.
    export RUNNING_UNDER_SYSTEMD=1 HOME=$folder ERL_EPMD_PORT=$epmd_port ERL_EPMD_ADDRESS=127.0.0.1
    export RABBITMQ_NODENAME=tocsin-$port@localhost RABBITMQ_PID_FILE=$folder/pid
    RABBITMQ_DIST_PORT=$(free_port)
    export RABBITMQ_DIST_PORT
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
    export RABBITMQ_MNESIA_BASE=$folder/data RABBITMQ_LOG_BASE=$folder/log
    export RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins RABBITMQ_CONFIG_FILE=$folder/rabbitmq
    # The machine's own configuration must not get in: these files do not exist.
    export RABBITMQ_ADVANCED_CONFIG_FILE=$folder/advanced RABBITMQ_CONFIG_FILES=$folder/conf.d
    export RABBITMQ_CONF_ENV_FILE=$folder/rabbitmq-env.conf
    exec setsid "$script" >"$folder/output" 2>&1 </dev/null
  ) &
  # Or this shell would report the end that it makes of it.
  disown
  wait_for RabbitMQ 120 amqp_login "$port" guest guest || { tail -20 "$folder/output" >&2; fail "RabbitMQ did not start"; }
  wait_for "RabbitMQ's management interface" 60 management_answers "$management_port" guest:guest || exit 1
  AMQP_URL=amqp://guest:guest@127.0.0.1:$port/%2f
  export RABBITMQ_MANAGEMENT_URL=http://guest:guest@127.0.0.1:$management_port
}

# stop_private_rabbitmq FOLDER EPMD_PORT: the data are thrown away, so it need not be asked nicely.
stop_private_rabbitmq() {
  if [[ -f $1/pid ]]; then
    kill -9 "$(cat "$1/pid")" 2>/dev/null || true
  fi
  rm -rf "$1"
  # The name server stays behind otherwise. It refuses to go before it has noticed that the broker has.
  local try
  for try in 1 2 3 4 5; do
    ERL_EPMD_PORT=$2 epmd -kill >/dev/null 2>&1 && break
    sleep "0.$try"
  done
}
