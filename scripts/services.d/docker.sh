# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which exports the addresses set here and stops at the first error.
#
# Both servers by docker/compose.yaml, on ports that Docker chooses.

# A project of its own for each state folder, so that two checkouts do not share one.
compose() { docker compose -p "tocsin-$(cksum <<<"$STATE" | cut -d" " -f1)" -f "$ROOT/docker/compose.yaml" "$@"; }

docker_answers() {
  command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

# docker_up SERVICE: started and healthy, to be taken down with all that belongs to it.
docker_up() {
  STOPS+=("compose down --volumes --timeout 5 >/dev/null 2>&1")
  compose up --detach --wait "$1" >&2 || fail "docker compose could not start $1"
}

# docker_port SERVICE PORT: the port of this machine behind which the container's port is.
docker_port() {
  local address
  address=$(compose port "$1" "$2")
  echo "${address##*:}"
}

docker_postgres() {
  docker_up postgres
  DATABASE_URL=postgres://postgres:postgres@127.0.0.1:$(docker_port postgres 5432)/postgres
}

docker_rabbitmq() {
  docker_up rabbitmq
  AMQP_URL=amqp://tocsin:tocsin@127.0.0.1:$(docker_port rabbitmq 5672)/%2f
  RABBITMQ_MANAGEMENT_URL=http://tocsin:tocsin@127.0.0.1:$(docker_port rabbitmq 15672)
  export RABBITMQ_MANAGEMENT_URL
}
