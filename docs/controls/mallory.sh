# Mallory's hands, for "Try it" on the pages of this folder. Needs bash, curl and timeout.
#
#   source docs/controls/mallory.sh        # in a second terminal, beside go run ./cmd/portcullis
#   sign_in mallory demo-xxxx-xxxx-xxxx    # the password on the card of your server
#
# It speaks to a development server on this machine and to nothing else. A port other
# than 8080 is the argument: source docs/controls/mallory.sh 9000

port=${1:-8080}
host=app.portcullis.localhost:$port
base=http://$host
name=__Host-portcullis
key=dGhlIHNhbXBsZSBub25jZQ==
cookie= csrf= me= room= password=

# web METHOD PATH [curl arguments]: one HTTP call with the cookie; prints the answer with headers.
web() {
	local method=$1 path=$2
	shift 2
	curl -sS --resolve "app.portcullis.localhost:$port:127.0.0.1" --http1.1 -m 10 -i -X "$method" -H "Cookie: $name=$cookie" "$@" "$base$path"
}

# call METHOD PATH [JSON] [curl arguments]: the same as a page of the app makes it; prints status and body.
call() {
	local method=$1 path=$2 json=${3-} answer
	shift $(($# < 3 ? $# : 3))
	answer=$(web "$method" "$path" -H "X-CSRF-Token: $csrf" -H "Origin: $base" ${json:+-H "Content-Type: application/json" --data-binary "$json"} "$@")
	brief <<<"$answer"
}

# brief keeps the status line, Retry-After and the body of an answer.
brief() { tr -d '\r\0' | sed -n -e '1p' -e '/^[Rr]etry-[Aa]fter:/p' -e '/^$/,$p' | sed '/^$/d'; echo; }

# field NAME: the text of a JSON field on standard input.
field() { sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p" | head -1; }

# visit: forget who we are; a new anonymous session and its CSRF token.
visit() {
	local answer
	cookie=
	answer=$(web GET /api/session)
	cookie=$(sed -nE "s/^[Ss]et-[Cc]ookie: $name=([^;]*).*/\1/p" <<<"$answer")
	csrf=$(field csrf_token <<<"$answer")
}

# sign_in NAME [PASSWORD]: become somebody; all demo people have the password given last.
sign_in() {
	local answer
	password=${2:-$password}
	visit
	answer=$(web POST /api/sign-in -H "X-CSRF-Token: $csrf" -H "Origin: $base" -H "Content-Type: application/json" \
		--data-binary "{\"username\":\"$1\",\"password\":\"$password\"}")
	if [[ $answer != *'"authenticated":true'* ]]; then
		brief <<<"$answer"
		return 1
	fi
	cookie=$(sed -nE "s/^[Ss]et-[Cc]ookie: $name=([^;]*).*/\1/p" <<<"$answer")
	csrf=$(field csrf_token <<<"$answer")
	me=$(field id <<<"$answer")
	room=$(call GET /api/rooms | grep -oE '"id":"[^"]*","title":"harbour"' | field id)
	echo "signed in as $1: \$me is $me, \$room (harbour) is $room"
}

# ticket [ROUTE]: a fresh ticket, for /ws.
ticket() { call POST /api/ws-ticket "{\"route\":\"${1:-/ws}\"}" | field ticket; }

# knock PATH [curl arguments]: a bare handshake, with nothing but the cookie; prints status and body. After a 101, hello.
knock() {
	local path=$1
	shift
	web GET "$path" -m 2 -H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" -H "Sec-WebSocket-Key: $key" "$@" 2>/dev/null | brief
}

# enter [TICKET] [ORIGIN]: a handshake as a page of the app makes it, with a fresh ticket or this one.
enter() { knock /ws -H "Origin: ${2:-$base}" -H "Sec-WebSocket-Protocol: portcullis.v1.json, ticket.${1:-$(ticket)}"; }

# plug [ROUTE]: an honest socket on /ws or /ws/auth, open for raw bytes on descriptor 3. What the server says goes to the screen.
plug() {
	local route=${1:-/ws} offer=portcullis.v1.json
	unplug
	[[ $route = /ws ]] && offer+=", ticket.$(ticket)"
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return
	printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nOrigin: %s\r\nCookie: %s=%s\r\nSec-WebSocket-Protocol: %s\r\n\r\n' \
		"$route" "$host" "$key" "$base" "$name" "$cookie" "$offer" >&3
	hear 1
}

# unplug: drop it.
unplug() { exec 3>&-; } 2>/dev/null

# hear [SECONDS]: show what the server sends, control characters as ^X. A close frame ends with its word.
hear() { timeout "${1:-2}" cat <&3 | cat -v; echo; }

# raw BYTES: write bytes, in the escapes of printf, to the socket.
raw() { printf "$1" >&3; } 2>/dev/null

# say TEXT: one masked text frame (the mask 0 is a legal one).
say() {
	local LC_ALL=C n
	n=${#1}
	if ((n < 126)); then printf "\\x81\\x$(printf %02x $((128 + n)))" >&3; else
		printf "\\x81\\xfe\\x$(printf %02x $((n / 256)))\\x$(printf %02x $((n % 256)))" >&3
	fi
	printf '\0\0\0\0%s' "$1" >&3
}

# new_id: a UUIDv7 for a command.
new_id() { printf '%08x-%04x-7%03x-8%03x-%04x%04x%04x' $(($(date +%s) / 16)) $RANDOM $((RANDOM % 4096)) $((RANDOM % 4096)) $RANDOM $RANDOM $RANDOM; }

# cmd TYPE DATA [ID]: one command of the protocol.
cmd() { say "{\"v\":1,\"id\":\"${3:-$(new_id)}\",\"type\":\"$1\",\"data\":$2}"; }
