#!/usr/bin/env bash
# Makes the secret files of docker-compose.yml, once. They never enter git.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
[[ -e secrets/postgres_password ]] && { echo "secrets/ is there already; nothing changed"; exit 0; }
db=$(openssl rand -hex 24)
redis=$(openssl rand -hex 24)
printf '%s' "$db" >secrets/postgres_password
printf 'postgres://portcullis:%s@postgres:5432/portcullis?sslmode=disable' "$db" >secrets/database_url
printf 'redis://:%s@redis:6379/0' "$redis" >secrets/redis_url
printf 'requirepass %s\nsave ""\nappendonly yes\nappendfsync everysec\nmaxmemory 128mb\nmaxmemory-policy noeviction\n' "$redis" >secrets/redis.conf
printf 'k1:%s' "$(openssl rand -base64 32)" >secrets/ticket_keys
# Compose hands the files over with their owner and mode: the containers' accounts must be able to read them.
chmod 0644 secrets/*
chmod 0711 secrets
echo "made secrets/"
