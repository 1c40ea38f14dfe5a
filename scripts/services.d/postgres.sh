# shellcheck shell=bash disable=SC2034,SC2164
# Sourced by scripts/services, which exports the addresses set here and stops at the first error.
#
# PostgreSQL on the default port, and one of our own.

POSTGRES_VERSION_MIN=15

# Prints the folder of the newest server that is new enough.
postgres_folder() {
  local folder version
  for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) /opt/homebrew/opt/postgresql@*/bin \
    "$(dirname "$(command -v postgres || echo /none/postgres)")"; do
    [[ -x $folder/postgres && -x $folder/initdb && -x $folder/pg_ctl ]] || continue
    version=$("$folder/postgres" --version)
    version=${version##*PostgreSQL) }
    version=${version%%[!0-9]*}
    if ((${version:-0} >= POSTGRES_VERSION_MIN)); then
      echo "$folder"
      return 0
    fi
  done
  return 1
}

have_postgres() { postgres_folder >/dev/null; }

# A server that is new enough and a user who may make databases and roles.
postgres_works() {
  local question="select rolsuper and current_setting('server_version_num')::int >= ${POSTGRES_VERSION_MIN}0000
    from pg_roles where rolname = current_user"
  command -v psql >/dev/null &&
    [[ $(PGCONNECT_TIMEOUT=3 psql -XAtwc "$question" "$1" 2>/dev/null) == t ]]
}

local_postgres() {
  local url
  for url in "postgres://postgres@127.0.0.1:5432/postgres" "postgres://postgres:postgres@127.0.0.1:5432/postgres" \
    "postgres://$(id -un)@%2Fvar%2Frun%2Fpostgresql/postgres"; do
    if postgres_works "$url"; then
      DATABASE_URL=$url
      return 0
    fi
  done
  return 1
}

# The data are thrown away with the server, so nothing waits for the disk.
private_postgres() {
  local folder user port data
  folder=$(postgres_folder)
  user=$(as_user postgres)
  port=$(free_port)
  data=$STATE/postgres
  if ((EUID == 0)) && ! $user test -x "$STATE"; then
    # The checkout is in a home that the server's user may not enter.
    data=$(mktemp -d "${TMPDIR:-/tmp}/tocsin-postgres.XXXXXX")
  fi
  mkdir -p "$data"
  if ((EUID == 0)); then chown "$(cut -d' ' -f3 <<<"$user")" "$data"; fi
  STOPS+=("rm -rf $(printf %q "$data")")
  (cd "$data" && $user "$folder/initdb" -D "$data/data" -U postgres -A trust -E UTF8 --locale=C --no-sync) \
    >"$STATE/initdb.log" 2>&1 || { cat "$STATE/initdb.log" >&2; fail "initdb failed"; }
  STOPS+=("$(printf '%q ' cd "$data") && $user $(printf '%q ' "$folder/pg_ctl" -D "$data/data" -m immediate -w stop) >/dev/null")
  # Into the server's own log, or the server would hold this script's output open.
  (cd "$data" && $user "$folder/pg_ctl" -D "$data/data" -l "$data/log" -w -t 60 start \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200
        -c shared_buffers=256MB -c track_commit_timestamp=on -c max_wal_size=4GB -c fsync=off -c full_page_writes=off") >"$STATE/pg_ctl.log" 2>&1 ||
    { cat "$STATE/pg_ctl.log" "$data/log" >&2; fail "PostgreSQL did not start"; }
  DATABASE_URL=postgres://postgres@127.0.0.1:$port/postgres
}
