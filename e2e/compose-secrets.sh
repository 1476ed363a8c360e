#!/usr/bin/env bash
# Makes the secret files of docker-compose.yml, once. They never enter git.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
[[ -e secrets/postgres_password ]] && { echo "secrets/ is there already; nothing changed"; exit 0; }
owner=$(openssl rand -hex 24)
db=$(openssl rand -hex 24)
redis=$(openssl rand -hex 24)

# An authority for the line to the backends. Its key is gone when this script ends.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj '/CN=portcullis compose backends' \
  -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign' -keyout "$work/ca.key" -out secrets/backend_ca 2>/dev/null
for name in postgres redis; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "secrets/${name}_key" -out "$work/$name.csr" 2>/dev/null
  openssl x509 -req -in "$work/$name.csr" -CA secrets/backend_ca -CAkey "$work/ca.key" -CAcreateserial -CAserial "$work/serial" -days 365 \
    -extfile <(printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$name") -out "secrets/${name}_cert" 2>/dev/null
done

printf '%s' "$owner" >secrets/postgres_password
printf '%s' "$db" >secrets/app_password
printf 'postgres://portcullis:%s@postgres:5432/portcullis?sslmode=verify-full' "$owner" >secrets/database_migrate_url
printf 'postgres://portcullis_app:%s@postgres:5432/portcullis?sslmode=verify-full' "$db" >secrets/database_url
printf 'rediss://portcullis:%s@redis:6379/0' "$redis" >secrets/redis_url
cat >secrets/redis.conf <<CONF
port 0
tls-port 6379
tls-cert-file /run/secrets/redis_cert
tls-key-file /run/secrets/redis_key
tls-ca-cert-file /run/secrets/backend_ca
tls-auth-clients no
user default off
user portcullis on >$redis ~portcullis:* &portcullis:* -@all +@read +@write +@pubsub +@scripting +@connection +@transaction +time
save ""
appendonly yes
appendfsync everysec
maxmemory 128mb
maxmemory-policy noeviction
CONF
printf 'k1:%s' "$(openssl rand -base64 32)" >secrets/ticket_keys
printf '%s' "$(openssl rand -base64 32)" >secrets/audit_key
# Compose hands the files over with their owner and mode: the containers' accounts must be able to read them.
chmod 0644 secrets/*
chmod 0711 secrets
echo "made secrets/"
