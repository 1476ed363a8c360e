package catalogue

func resource() []Control {
	return []Control{
		{
			Name: "ratelimit", Title: "Budgets", Layer: Resource, Numbers: []int{42, 43, 44, 48},
			Threat: "One client, one user on many sockets and nodes, or one network asks so often that nobody else gets an answer.",
			NotStopped: []string{
				"Bandwidth: what has arrived has used the line.",
				"Whoever has more addresses than the fallback remembers has a full bucket again for the oldest.",
			},
			Refs:   []string{"ASVS 2.4.1", "RFC 6585 §4", "RFC 9110 §10.2.3", "CWE-770", "CWE-799", "OWASP WebSocket Security Cheat Sheet: rate limits"},
			Events: []string{"excess_rate_limit_exceeded", "ws_handshake_reject", "ws_fail_closed"},
			Knobs:  []string{"PORTCULLIS_MESSAGES_PER_MINUTE", "PORTCULLIS_MESSAGE_BURST", "PORTCULLIS_HANDSHAKES_PER_MINUTE", "PORTCULLIS_REQUESTS_PER_MINUTE"},
		},
		{
			Name: "limiter-failure", Title: "Limits without Redis", Layer: Resource, Numbers: []int{47},
			Threat: "An attacker who can make Redis slow or unreachable has no limits any more, or, if every doubt is a refusal, has stopped the chat for everybody.",
			NotStopped: []string{
				"Without Redis every node counts for itself: together they allow half of each budget per node.",
				"Tickets, caps and revocations are not guessed at: without Redis no new socket opens.",
			},
			Refs:     []string{"ASVS 16.5.2", "ASVS 16.5.3", "CWE-636", "CWE-770"},
			Events:   []string{"ws_limiter_degraded"},
			NoAttack: "Redis is out of a client's reach; its tests take it away.",
		},
		{
			Name: "frames", Title: "Frames under the library", Layer: Resource, Numbers: []int{45, 55, 56, 57, 58, 59, 60, 114},
			Threat: "A million empty fragments, a flood of pings, a message that never ends or a header that announces 2^63 bytes costs the server far more than its sender, before any message exists that could be counted.",
			NotStopped: []string{
				"Bandwidth: every byte has arrived when it is judged.",
				"What a complete message says.",
			},
			Refs:   []string{"RFC 6455 §5.1", "RFC 6455 §5.4", "RFC 6455 §5.5", "RFC 6455 §8.1", "RFC 6455 §10.3", "CWE-400", "CWE-770", "CVE-2020-27813", "CVE-2024-37890", "CVE-2026-48779", "OWASP WebSocket Security Cheat Sheet: 64 KiB"},
			Events: []string{"ws_frame_abuse", "ws_protocol_error", "ws_message_too_big"},
			Knobs:  []string{"PORTCULLIS_MESSAGES_PER_MINUTE", "PORTCULLIS_MESSAGE_BURST"},
		},
		{
			Name: "heartbeat", Title: "Peers that are really there", Layer: Resource, Numbers: []int{75},
			Threat: "Peers that are gone, or that send pongs nobody asked for, hold their places for ever.",
			NotStopped: []string{
				"A peer that answers every ping and does nothing else: the idle time of its session ends that.",
			},
			Refs:   []string{"RFC 6455 §5.5.2", "RFC 6455 §5.5.3", "ASVS 13.1.2", "CWE-772", "OWASP WebSocket Security Cheat Sheet: heartbeat"},
			Events: []string{"ws_heartbeat_lost"},
			Knobs:  []string{"PORTCULLIS_PING_EVERY"},
		},
		{
			Name: "idle", Title: "Only people count as activity", Layer: Resource, Numbers: []int{76},
			Threat: "A forgotten page keeps its session alive by answering pings and repeating calls of its own, until somebody else sits down in front of it.",
			NotStopped: []string{
				"A program that acts as a person does: the absolute end of the session stops it.",
				"Calls of a page over HTTP move the idle end, as a person's do.",
			},
			Refs:     []string{"ASVS 7.3.1", "CWE-613", "OWASP Session Management Cheat Sheet"},
			Events:   []string{"ws_idle_timeout"},
			Knobs:    []string{"PORTCULLIS_SESSION_IDLE"},
			NoAttack: "Its period is half an hour; its tests move the clock.",
		},
		{
			Name: "slow-consumer", Title: "Readers who do not read", Layer: Resource, Numbers: []int{77, 78, 80},
			Threat: "A member of a busy room never reads: the server keeps everything for them until its memory is gone, or waits for them and stops the room for everybody.",
			NotStopped: []string{
				"Every member may be slow up to the bound: members times the bound is what a node needs at worst.",
				"A line that is slow and honest is closed too, and comes back with what it missed.",
			},
			Refs:   []string{"ASVS 13.1.2", "CWE-400", "CWE-770", "OWASP WebSocket Security Cheat Sheet: backpressure"},
			Events: []string{"ws_slow_consumer"},
		},
		{
			Name: "tunnel", Title: "Tunnels", Layer: Resource, Numbers: []int{109, 110, 111, 112, 113},
			Threat: "A relay that connects where its client says is an open proxy behind the firewall, and one that trusts the session of a chat gives SSH to whoever put a line of script into a message.",
			NotStopped: []string{
				"What happens inside: SSH is encrypted from end to end, so its commands, its passwords and its host key are between the two ends. The relay tells the client which key to expect; the client has to check.",
				"RFB is not encrypted by itself: what is proven there is the greeting, and the relay sees what the screen shows.",
				"Whoever has the session, the password, a grant and the target's own password is who the target thinks they are.",
				"The relay cannot tell typing from a keep-alive: bytes of the client count as activity of the session, up to its absolute end.",
				"Pages of the chat and tunnels share an origin and a cookie; what keeps them apart is the grant, the fresh proof and the ticket.",
			},
			Refs:   []string{"RFC 4253 §4.2", "RFC 6143 §7.1.1", "ASVS 1.3.6", "ASVS 7.5.3", "ASVS 8.4.2", "CWE-441", "CWE-918", "CVE-2024-45337"},
			Events: []string{"tunnel_open", "tunnel_close", "tunnel_denied", "authn_token_created", "ws_revoked_close", "privilege_permissions_changed", "excess_rate_limit_exceeded"},
			Knobs:  []string{"PORTCULLIS_TUNNELS", "PORTCULLIS_TUNNEL_BYTES", "PORTCULLIS_TUNNEL_IDLE"},
		},
		{
			Name: "close", Title: "One end, one code", Layer: Resource,
			Threat: "A connection that ends twice, without a code, or with a reason that explains the inside leaves goroutines behind and tells an attacker what went wrong.",
			NotStopped: []string{
				"The code itself says which family of rule was broken. That much a client needs.",
				"A peer that does not take the close frame within a second sees a cut connection instead.",
			},
			Refs:   []string{"RFC 6455 §5.5.1", "RFC 6455 §7.1.1", "RFC 6455 §7.4", "ASVS 16.5.1", "CWE-209", "CWE-772"},
			Events: []string{"ws_disconnect", "ws_abnormal_close"},
		},
	}
}
