#!/usr/bin/env bash
# Installs what the tests need: PostgreSQL 15+, Redis 7+, Chromium, Node.js 20+, nginx, HAProxy, Caddy.
# As root on Debian it installs; anywhere else it prints the commands and stops.
set -euo pipefail

packages=()
have() { command -v "$1" >/dev/null 2>&1; }

have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
have redis-server || have valkey-server || packages+=(redis-server)
have chromium || have chromium-browser || have google-chrome || packages+=(chromium)
have node || packages+=(nodejs)
have npm || packages+=(npm)
have nginx || packages+=(nginx-light)
have haproxy || packages+=(haproxy)
have caddy || packages+=(caddy)
have git || packages+=(git)
have clamd || [[ -x /usr/sbin/clamd ]] || packages+=(clamav-daemon)
have gcc || packages+=(gcc libc6-dev) # the race detector needs cgo
# Chromium draws emoji and Latin text in screenshots only with fonts.
if have fc-list; then
  fc-list | grep -qi 'emoji' || packages+=(fonts-noto-color-emoji)
else
  packages+=(fontconfig fonts-noto-color-emoji fonts-dejavu-core)
fi

if ((${#packages[@]} == 0)); then exit 0; fi
echo "missing: ${packages[*]}"
if [[ $(id -u) -ne 0 ]] || ! have apt-get; then
  echo "install them with your package manager; on Debian or Ubuntu:"
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The tests start servers themselves: none may come up as a service and take port 80 or 443.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
