#!/usr/bin/env bash
# Runs once, when PostgreSQL makes its data directory: the role that the nodes sign in as.
# What it may is granted by migrations/00012_roles.sql.
set -euo pipefail
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -v word="$(cat /run/secrets/app_password)" <<'SQL'
CREATE ROLE portcullis_app LOGIN PASSWORD :'word';
SQL
