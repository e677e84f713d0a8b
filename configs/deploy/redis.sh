#!/bin/sh
# Start Redis with the password of a secret file, or, with `ping`, ask it whether it is well.
#
# The password goes in by standard input or by a variable of redis-cli, never as an argument: those can be read in any list
# of processes. Further words go to redis-server.
set -eu
secret="${REDIS_PASSWORD_FILE:-/run/secrets/redis_password}"
settings="${REDIS_CONF:-/etc/labbot/redis.conf}"

password="$(cat "$secret")"
case "$password" in
  "" | *[!A-Za-z0-9_-]*)
    echo "$secret: a password of letters, digits, - and _ is wanted. Make one: openssl rand -hex 32" >&2
    exit 2
    ;;
esac

if [ "${1:-}" = ping ]; then
  answer="$(REDISCLI_AUTH="$password" redis-cli -p "${REDIS_PORT:-6379}" ping 2>&1)" || true
  echo "$answer"
  [ "$answer" = PONG ]
  exit
fi

exec redis-server - "$@" <<SETTINGS
include $settings
requirepass $password
SETTINGS
