package catalogue

func authentication() []Control {
	return []Control{
		{
			Name: "ticket", Title: "A ticket for each socket", Layer: Authentication, Numbers: []int{10, 21, 22, 23},
			Threat: "A cookie that browsers attach by themselves opens a socket for whoever asks; a token that lives long and travels in an address is read from a log and used again, or forged.",
			NotStopped: []string{
				"A ticket that is stolen and used before its owner uses it. The owner is then refused, and that is an event.",
				"On /ws/cli the ticket is the only proof.",
				"A Redis that restarts without its data forgets, for the 30 seconds that a ticket lives, which were used.",
			},
			Refs:   []string{"RFC 8725 §3.1", "RFC 8725 §3.8", "RFC 8725 §3.11", "ASVS 4.4.3", "ASVS 4.4.4", "ASVS 9.1.1", "ASVS 9.1.2", "ASVS 9.2.1", "ASVS 9.2.3", "ASVS 14.2.1", "CWE-294", "CWE-347", "CWE-1385", "CVE-2025-30204"},
			Events: []string{"authn_token_created", "authn_token_reuse", "ws_handshake_reject", "ws_fail_closed"},
			Knobs:  []string{"PORTCULLIS_TICKET_KEYS", "PORTCULLIS_TICKET_LIFETIME"},
		},
		{
			Name: "first-message", Title: "A ticket in the first frame", Layer: Authentication, Numbers: []int{29},
			Threat: "A socket that is open before anybody is authenticated on it holds memory for strangers, and whatever parses its frames can be attacked by them.",
			NotStopped: []string{
				"Strangers with a session may hold such sockets for five seconds each, within the caps.",
			},
			Refs:   []string{"RFC 6455 §10.5", "ASVS 4.4.4", "ASVS 6.3.4", "CWE-306", "CWE-770", "CVE-2026-5740"},
			Events: []string{"ws_handshake_reject"},
		},
		{
			Name: "password", Title: "Passwords", Layer: Authentication, Numbers: []int{26},
			Threat: "A stolen table of passwords is guessed offline, an answer that comes faster tells which names exist, and a flood of sign-ins makes hashing stop the server.",
			NotStopped: []string{
				"A password that the attacker knows already, from elsewhere or from a note.",
				"Sign-up tells whether a name is taken. It must; it is budgeted, and can be closed.",
				"Leaked passwords that are not common: the list has a few thousand entries.",
			},
			Refs:   []string{"RFC 9106 §3.1", "ASVS 6.2.1", "ASVS 6.2.9", "ASVS 6.3.1", "ASVS 6.3.8", "CWE-204", "CWE-208", "CWE-521", "CWE-916", "OWASP Password Storage Cheat Sheet"},
			Events: []string{"authn_login_success", "authn_login_fail", "authn_password_change", "authn_password_change_fail", "authz_admin", "user_created"},
			Knobs:  []string{"PORTCULLIS_OPEN_SIGN_UP"},
		},
		{
			Name: "throttle", Title: "Guessing is slow", Layer: Authentication, Numbers: []int{27},
			Threat: "A robot tries passwords, or one password on many accounts; and a lock against it becomes the attacker's own tool to lock an owner out.",
			NotStopped: []string{
				"Guesses that are few and patient, from many networks: the budget over all slows them for everybody.",
				"A good guess.",
			},
			Refs:   []string{"ASVS 2.4.1", "ASVS 6.1.1", "ASVS 6.3.1", "CWE-307", "CWE-645", "OWASP Authentication Cheat Sheet"},
			Events: []string{"authn_login_fail_max"},
			Knobs:  []string{"PORTCULLIS_SIGN_INS_PER_MINUTE"},
		},
		{
			Name: "route-policy", Title: "Every route has a policy", Layer: Authentication, Numbers: []int{28},
			Threat: "One of forty routes is added in a hurry without a check, or a header such as Upgrade talks a middleware out of its own, and the attacker takes that one.",
			NotStopped: []string{
				"A policy that is too generous for its route: the table makes it visible, a reviewer has to see it.",
				"What a signed-in user may do with what they name.",
			},
			Refs: []string{"ASVS 6.1.3", "ASVS 6.3.4", "ASVS 8.3.1", "CWE-306", "CWE-862"},
		},
		{
			Name: "secrets", Title: "Secrets that do not print", Layer: Authentication, Numbers: []int{33},
			Threat: "A sample key goes live, or a good one is printed by a log line, an error or a dump of the configuration, and whoever reads it signs tickets for everybody.",
			NotStopped: []string{
				"Whoever can read the environment or the files of the process has its secrets.",
				"A key that is random and already stolen: rotate it.",
			},
			Refs:     []string{"ASVS 13.2.3", "ASVS 13.3.1", "ASVS 13.3.4", "ASVS 16.2.5", "CWE-321", "CWE-532", "CWE-798"},
			Events:   []string{"config_weak_refused"},
			Knobs:    []string{"PORTCULLIS_TICKET_KEYS", "DATABASE_URL", "REDIS_URL"},
			NoAttack: "It is about the operator's own secrets; its tests print them in every way that Go has, and start with weak ones.",
		},
		{
			Name: "step-up", Title: "A fresh proof for what hurts most", Layer: Authentication, Numbers: []int{31},
			Threat: "Somebody has the session for a moment, by a stolen cookie or an unlocked screen, and turns it into a takeover: signs the owner out, adds a passkey, opens a tunnel.",
			NotStopped: []string{
				"An attacker who knows the password too.",
				"One who acts within the minutes after the owner's own proof.",
				"A socket that is open goes on: what it may do is authz's.",
			},
			Refs:   []string{"ASVS 7.5.1", "ASVS 7.5.3", "ASVS 6.1.1", "CWE-306", "CWE-613", "CWE-601", "OWASP Authentication Cheat Sheet: require re-authentication for sensitive features"},
			Events: []string{"authz_fail", "session_renewed", "authn_login_fail"},
			Knobs:  []string{"PORTCULLIS_STEP_UP_WITHIN"},
		},
		{
			Name: "passkey", Title: "Passkeys", Layer: Authentication,
			Threat: "A password is typed into a page that only looks like ours; or an answer of a passkey is played again, made for another page, or signed by a copy of the key.",
			NotStopped: []string{
				"Malware on the device, and somebody who knows its PIN.",
				"Whoever controls the account that a passkey is synchronised with. Such passkeys do not count, so a copy is not noticed.",
				"Passwords stay as a way in: a person who is phished for one is phished.",
			},
			Refs:   []string{"W3C WebAuthn Level 3 §7.1", "W3C WebAuthn Level 3 §7.2", "ASVS 6.3.3", "ASVS 6.4.3", "ASVS 6.5.1", "CWE-294", "CWE-308", "CWE-522"},
			Events: []string{"authn_login_success", "authn_login_fail", "user_updated"},
		},
		{
			Name: "lease-refresh", Title: "A socket's lease is renewed, never changed", Layer: Authentication, Numbers: []int{30},
			Threat: "A long socket is given new credentials on the way: a stolen ticket makes it somebody else's, or one renewal after the other makes it live for ever.",
			NotStopped: []string{
				"A user who stays active keeps a socket to the absolute end of the session; that is meant.",
			},
			Refs:   []string{"ASVS 7.3.2", "ASVS 7.4.1", "CWE-613", "CWE-384", "OWASP WebSocket Security Cheat Sheet: token expiration"},
			Events: []string{"sequence_fail", "ws_revoked_close", "session_expired"},
			Knobs:  []string{"PORTCULLIS_SESSION_LIFETIME", "PORTCULLIS_REVALIDATE_EVERY"},
		},
		{
			Name: "service-identity", Title: "Programs have keys of their own", Layer: Authentication, Numbers: []int{32},
			Threat: "A program signs in with a person's password from a file: whoever reads the file is that person, may do all that the person may, and nobody can stop the one without the other.",
			NotStopped: []string{
				"A key that is stolen works until it is rotated or its service disabled.",
				"With an overlap, whoever stole the old key has until its end; without, nothing more.",
				"What a service reads in rooms that people invited it to.",
			},
			Refs:   []string{"ASVS 13.2.1", "ASVS 13.2.2", "ASVS 13.2.3", "ASVS 13.3.4", "CWE-250", "CWE-522", "CWE-798"},
			Events: []string{"authn_login_fail", "authn_token_created", "authz_admin", "ws_handshake_reject", "malicious_cors"},
		},
	}
}
