package catalogue

func handshake() []Control {
	return []Control{
		{
			Name: "handshake", Title: "Order of the handshake", Layer: Handshake, Numbers: []int{20, 52, 54},
			Threat: "Checks in the wrong order burn a victim's ticket, do expensive work for strangers, tell which of them failed, or leave a slot behind at each failure until none is left.",
			NotStopped: []string{
				"What a client does after hello.",
				"A flood larger than the line: every step costs something, if little.",
			},
			Refs:   []string{"RFC 6455 §4.2.2", "RFC 6455 §10.5", "ASVS 6.3.4", "ASVS 15.4.2", "ASVS 16.5.1", "CWE-203", "CWE-770", "CWE-772", "CVE-2026-5740", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"ws_handshake_accept", "ws_handshake_reject", "ws_connect", "ws_fail_closed"},
		},
		{
			Name: "host", Title: "Host names", Layer: Handshake, Numbers: []int{14},
			Threat: "A page whose name is pointed at this server by DNS (rebinding) talks to it from a victim's browser as if it were its own.",
			NotStopped: []string{
				"A program sends any Host it likes; it gains nothing that a direct connection would not give it.",
				"/livez and /readyz answer to every name, because orchestrators ask by address. They say one word.",
			},
			Refs:   []string{"RFC 9110 §7.2", "RFC 9110 §15.5.20", "ASVS 4.1.3", "CWE-350", "CVE-2025-24010"},
			Events: []string{"ws_handshake_reject", "input_validation_discrete_fail"},
			Knobs:  []string{"PORTCULLIS_BASE_URL", "PORTCULLIS_ALLOWED_ORIGINS"},
		},
		{
			Name: "handshake-protocol", Title: "Exactly one form of upgrade", Layer: Handshake, Numbers: []int{115, 117, 125},
			Threat: "A half-valid upgrade makes a proxy believe in a tunnel that the server never opened, and the attacker's next request goes through it unseen (request smuggling).",
			NotStopped: []string{
				"A proxy that tunnels before it has seen the 101.",
				"A client that only speaks WebSocket over HTTP/2 (RFC 8441) cannot connect: it is refused, not supported.",
			},
			Refs:   []string{"RFC 6455 §4.2.1", "RFC 6455 §4.4", "RFC 8441", "RFC 9110 §15.5.22", "ASVS 4.2.1", "CWE-400", "CWE-444", "CVE-2021-32640"},
			Events: []string{"ws_handshake_reject"},
		},
		{
			Name: "origin", Title: "Exact list of origins", Layer: Handshake, Numbers: []int{7, 8, 9, 13},
			Threat: "A page of another site opens a socket to this server; the browser adds the victim's cookie, and the page reads and writes as the victim (cross-site WebSocket hijacking).",
			NotStopped: []string{
				"A program that is no browser sends any Origin it likes: the ticket and the session stop it, not this.",
				"A page of a listed origin that was taken over.",
			},
			Refs:   []string{"RFC 6455 §4.2.2", "RFC 6455 §10.2", "RFC 6454 §6.2", "ASVS 4.4.2", "ASVS 3.5.3", "CWE-1385", "CVE-2025-24010", "CVE-2026-34403", "OWASP WebSocket Security Cheat Sheet: Origin"},
			Events: []string{"malicious_cors", "ws_handshake_reject"},
			Knobs:  []string{"PORTCULLIS_BASE_URL", "PORTCULLIS_ALLOWED_ORIGINS"},
		},
		{
			Name: "csrf", Title: "Calls that change something", Layer: Handshake, Numbers: []int{11},
			Threat: "A foreign page submits a form or a call with the victim's cookie: it signs the victim out or in, changes the password, or mints a ticket for a socket.",
			NotStopped: []string{
				"GET is not checked, so it must never change anything. The handshake of a WebSocket is a GET: it has its Origin and its ticket instead.",
				"Script in our own page can read the token.",
			},
			Refs:   []string{"ASVS 3.5.1", "ASVS 3.5.2", "ASVS 3.5.3", "CWE-352", "OWASP Cross-Site Request Forgery Prevention Cheat Sheet"},
			Events: []string{"malicious_csrf"},
			Knobs:  []string{"PORTCULLIS_ALLOWED_ORIGINS"},
		},
		{
			Name: "clientip", Title: "The client's address", Layer: Handshake, Numbers: []int{46},
			Threat: "A client writes addresses into X-Forwarded-For: each request gets a fresh budget, and the log names somebody else.",
			NotStopped: []string{
				"Many real addresses: an address is a brake, not an identity.",
				"People behind one NAT share a budget.",
				"A trusted proxy that passes the client's own X-Forwarded-For through.",
			},
			Refs:   []string{"RFC 7239 §8.1", "RFC 9110 §5.3", "ASVS 4.1.3", "ASVS 15.3.4", "CWE-348"},
			Events: []string{"ws_handshake_reject"},
			Knobs:  []string{"PORTCULLIS_TRUSTED_PROXIES"},
		},
		{
			Name: "admission", Title: "Caps on open sockets", Layer: Handshake, Numbers: []int{49, 50},
			Threat: "One user, or a crowd, opens sockets until nobody else gets one; on several nodes a counter per node multiplies what one user may take.",
			NotStopped: []string{
				"A user who has taken all places keeps the next device out, until one of them closes or its session ends.",
				"Many accounts.",
				"Connections below HTTP: the operating system's backlog and the server's timeouts bound them.",
			},
			Refs:   []string{"ASVS 13.1.2", "ASVS 7.1.2", "RFC 6585 §4", "CWE-400", "CWE-770", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"excess_sessions_exceeded", "ws_handshake_reject", "ws_lease_unavailable"},
			Knobs:  []string{"PORTCULLIS_SOCKETS_PER_USER", "PORTCULLIS_SOCKETS_PER_NODE"},
		},
		{
			Name: "slow-upgrade", Title: "No patience before a request is whole", Layer: Handshake, Numbers: []int{51},
			Threat: "A thousand clients send their handshakes one byte at a time, and hold a thousand connections before any limit has seen a request (slow-loris).",
			NotStopped: []string{
				"Connections for five seconds each: a crowd that comes again and again needs a limit in front, in the proxy or the firewall.",
				"A slow reader of an open socket: that is slow-consumer's.",
			},
			Refs: []string{"RFC 9110 §15.5.9", "RFC 6585 §5", "ASVS 13.1.2", "ASVS 13.2.6", "CWE-400", "CWE-770"},
		},
		{
			Name: "drain", Title: "Stopping without a storm", Layer: Handshake, Numbers: []int{53},
			Threat: "A node restarts, ten thousand clients reconnect in the same moment, and the storm takes down the nodes that were left.",
			NotStopped: []string{
				"A crash says goodbye to nobody; then only the clients' own backoff spreads them, and the budget of handshakes.",
				"A client that ignores codes and waits comes back at once, at its network's rate of handshakes.",
			},
			Refs:     []string{"RFC 6455 §7.2.3", "RFC 6455 §7.4", "ASVS 13.1.2", "CWE-770"},
			Events:   []string{"ws_disconnect", "sys_shutdown", "ws_handshake_reject"},
			Knobs:    []string{"PORTCULLIS_DRAIN_TIMEOUT"},
			NoAttack: "No client can stop a node; its tests do, with sockets open.",
		},
		{
			Name: "compression", Title: "Secrets are not compressed", Layer: Handshake, Numbers: []int{15, 16, 18, 19},
			Threat: "Somebody who can have a guess sent in one compressed message with a secret, and sees lengths on the wire, reads the secret one character at a time (CRIME, BREACH).",
			NotStopped: []string{
				"Lengths and times of what is not compressed: they say how long a message is and when it came.",
				"A proxy in front that compresses on its own.",
			},
			Refs:   []string{"RFC 7692 §8", "CVE-2012-4929", "CVE-2013-3587", "CWE-310", "OWASP WebSocket Security Cheat Sheet: compression"},
			Events: []string{"ws_protocol_error", "ws_compression_oracle", "sequence_fail"},
		},
		{
			Name: "inflated-size", Title: "What a message becomes", Layer: Handshake, Numbers: []int{17},
			Threat: "Sixty kilobytes of deflate become sixty megabytes behind a limit that counts what came in.",
			NotStopped: []string{
				"The cost of inflating 64 KiB once per connection: the rate of handshakes bounds that.",
			},
			Refs:   []string{"RFC 7692 §8", "CVE-2018-1000518", "CVE-2020-27813", "CWE-409", "ASVS 5.2.3"},
			Events: []string{"ws_message_too_big", "ws_protocol_error"},
		},
		{
			Name: "cors", Title: "CORS is closed", Layer: Handshake, Numbers: []int{12},
			Threat: "A server that echoes any Origin, or says *, or trusts null, hands its answers to every page in the world, with the victim's cookies; and whoever believes that CORS guards sockets leaves them open.",
			NotStopped: []string{
				"Sockets: no browser asks CORS about a handshake. That is the origin control, with a list of its own.",
				"Requests that a page sends without reading the answer: that is csrf.",
				"A listed origin that was taken over reads what it is listed for.",
			},
			Refs:   []string{"ASVS 3.4.2", "ASVS 3.5.2", "CWE-942", "CWE-346", "RFC 6455 §10.2", "WHATWG Fetch §3.2"},
			Events: []string{"malicious_cors"},
			Knobs:  []string{"PORTCULLIS_CORS_ORIGINS", "PORTCULLIS_ALLOWED_ORIGINS"},
		},
	}
}
