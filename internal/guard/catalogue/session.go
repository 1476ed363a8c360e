package catalogue

func session() []Control {
	return []Control{
		{
			Name: "session", Title: "Sessions that stay dead", Layer: Session, Numbers: []int{24, 25, 85},
			Threat: "An attacker uses a cookie from a dump, plants one before sign-in (fixation), or lets a slow request write back a session that its owner has ended.",
			NotStopped: []string{
				"A stolen cookie before its session ends. The owner sees their sessions and can end them.",
				"Malware in the browser.",
				"A page that calls the API by itself keeps its session from idling out.",
			},
			Refs:   []string{"ASVS 3.3.1", "ASVS 3.3.3", "ASVS 7.2.3", "ASVS 7.2.4", "ASVS 7.3.1", "ASVS 7.3.2", "ASVS 7.4.1", "CWE-367", "CWE-384", "CWE-613", "OWASP Session Management Cheat Sheet"},
			Events: []string{"session_created", "session_renewed", "session_logout", "session_use_after_expire", "authn_token_revoked", "ws_handshake_reject", "ws_fail_closed", "user_updated"},
			Knobs:  []string{"PORTCULLIS_SESSION_IDLE", "PORTCULLIS_SESSION_LIFETIME"},
		},
		{
			Name: "revalidation", Title: "Sockets end with their session", Layer: Session, Numbers: []int{81, 82},
			Threat: "A socket was authenticated once, in the morning; in the evening its session is long over, and it still receives.",
			NotStopped: []string{
				"A program of the user's that sends a message every few minutes keeps the session alive, up to its absolute end.",
				"With PostgreSQL away, sockets go on until their own timer rings.",
			},
			Refs:     []string{"ASVS 7.3.1", "ASVS 7.3.2", "ASVS 7.4.1", "ASVS 16.5.3", "CWE-613", "OWASP WebSocket Security Cheat Sheet: revalidation"},
			Events:   []string{"session_expired", "ws_revoked_close", "ws_fail_closed"},
			Knobs:    []string{"PORTCULLIS_REVALIDATE_EVERY", "PORTCULLIS_SESSION_LIFETIME"},
			NoAttack: "Its period is half an hour; its tests move the clock.",
		},
		{
			Name: "revocation", Title: "Ending a session closes its sockets", Layer: Session, Numbers: []int{83, 86},
			Threat: "The owner signs a thief out everywhere, and the thief's socket goes on receiving, because nobody tells it.",
			NotStopped: []string{
				"What was sent before is with whoever received it.",
				"Up to 5 s on other nodes while Redis is away.",
				"It needs an owner who looks, or an operator.",
			},
			Refs:   []string{"ASVS 7.4.1", "ASVS 7.4.2", "ASVS 7.4.3", "ASVS 7.4.5", "ASVS 8.3.2", "CWE-613", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"ws_revoked_close", "session_logout"},
		},
		{
			Name: "revocation-race", Title: "Revoked while connecting", Layer: Session, Numbers: []int{84},
			Threat: "A sign-out falls between the check of the session and the open socket, so that it finds nothing to close and the socket lives on.",
			NotStopped: []string{
				"A session that nobody has revoked.",
			},
			Refs:     []string{"ASVS 7.4.1", "ASVS 15.4.2", "CWE-367", "CWE-613"},
			Events:   []string{"ws_revoke_race_prevented"},
			NoAttack: "The gap is a few microseconds wide; its test stops the handshake inside of it.",
		},
		{
			Name: "sign-out-cleanup", Title: "Nothing is left in the browser", Layer: Session, Numbers: []int{87},
			Threat: "The next person at a shared computer presses Back, or opens the developer tools, and reads what the last one wrote.",
			NotStopped: []string{
				"What was copied, printed or photographed.",
				"A browser that is closed without signing out keeps the queue of unsent messages for its user, until the next sign-in of another.",
				"Browsers that do not know Clear-Site-Data: the page itself empties its storage there.",
			},
			Refs:   []string{"ASVS 14.3.1", "ASVS 14.3.2", "ASVS 14.3.3", "CWE-525", "CWE-922", "W3C Clear Site Data"},
			Events: []string{"session_logout"},
		},
		{
			Name: "session-limit", Title: "A limit on sessions per user", Layer: Session, Numbers: []int{88},
			Threat: "Sessions pile up on forgotten devices, and one of them is a thief's; or a limit that refuses the newest lets a thief lock the owner out.",
			NotStopped: []string{
				"A thief whose session is newer than the owner's: the owner is the one who has to look, and ends it.",
				"A person with more devices than the limit is signed out somewhere.",
				"An owner without an open socket, who does not sign in again, is not told.",
			},
			Refs:   []string{"ASVS 7.1.2", "ASVS 7.5.2", "CWE-613", "CWE-645", "OWASP Session Management Cheat Sheet"},
			Events: []string{"excess_sessions_exceeded", "session_logout"},
			Knobs:  []string{"PORTCULLIS_SESSIONS_PER_USER"},
		},
	}
}
