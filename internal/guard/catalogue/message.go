package catalogue

func message() []Control {
	return []Control{
		{
			Name: "authz", Title: "Who may do what", Layer: Message, Numbers: []int{34, 35, 36},
			Threat: "A signed-in user sends commands that the page never offered, with ids of rooms and messages that are not theirs.",
			NotStopped: []string{
				"Anybody who is signed in may find and enter an open room; that is what it is for.",
				"A member who copies: whoever may read may tell.",
				"Whoever can write to PostgreSQL.",
			},
			Refs:   []string{"ASVS 8.2.1", "ASVS 8.2.2", "ASVS 8.3.1", "ASVS 15.3.3", "ASVS 15.4.2", "CWE-285", "CWE-367", "CWE-639", "CWE-915", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"authz_fail", "authz_change", "privilege_permissions_changed"},
		},
		{
			Name: "existence", Title: "One answer for \"not there\" and \"not yours\"", Layer: Message, Numbers: []int{37},
			Threat: "A stranger tries ids, and tells from another status, text or time which rooms and messages exist.",
			NotStopped: []string{
				"An open room is listed for everybody who is signed in.",
				"Sign-up says whether a name is taken.",
			},
			Refs:   []string{"ASVS 6.3.8", "ASVS 8.2.2", "RFC 9562 §5.7", "CWE-203", "CWE-204"},
			Events: []string{"authz_fail"},
		},
		{
			Name: "delivery", Title: "Checked again at delivery", Layer: Message, Numbers: []int{38, 39},
			Threat: "A member is removed, and what was on its way to them still arrives, because rights were only asked at the door.",
			NotStopped: []string{
				"What was delivered before.",
				"Between a removal and its news on another node there are milliseconds, without Redis up to five seconds.",
			},
			Refs:   []string{"ASVS 8.2.3", "ASVS 8.3.2", "ASVS 15.4.2", "CWE-862", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"authz_change"},
		},
		{
			Name: "dispatch", Title: "Commands in their place", Layer: Message, Numbers: []int{73, 79},
			Threat: "A client sends commands out of their order, in endless nonsense, or one that makes its handler panic, and takes others with it.",
			NotStopped: []string{
				"A correct command that should not be allowed.",
				"Nine frames of nonsense per minute, for as long as the client likes.",
			},
			Refs:   []string{"ASVS 2.3.1", "ASVS 7.3.1", "ASVS 16.5.1", "CWE-248", "CWE-770", "CWE-841"},
			Events: []string{"sequence_fail", "input_validation_fail", "sys_crash"},
		},
		{
			Name: "schema", Title: "One strict reading", Layer: Message, Numbers: []int{61, 62, 63, 68},
			Threat: "A frame that two readers understand differently passes the check as one command and is carried out as another.",
			NotStopped: []string{
				"Script and SQL in a body: they are text, stored and shown as text.",
				"What a command may do, and how often.",
			},
			Refs:   []string{"RFC 7493", "RFC 8259", "RFC 9562", "ASVS 1.4.2", "ASVS 1.5.3", "ASVS 2.2.1", "ASVS 15.3.3", "ASVS 15.3.6", "CWE-400", "CWE-436", "CWE-915", "CWE-1321", "CWE-1333", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"input_validation_fail", "input_validation_discrete_fail", "malicious_extraneous"},
		},
		{
			Name: "unicode", Title: "Text is what it looks like", Layer: Message, Numbers: []int{64},
			Threat: "Characters that turn the direction of text, that nobody sees or that look like others make a file name lie, a filter blind and a second admin.",
			NotStopped: []string{
				"Letters that look alike within one script, such as rn and m: the user name stands beside the display name.",
				"Look-alikes that are not in the table: it has the letters that pass for ASCII ones, not all of UTS #39.",
			},
			Refs:   []string{"UAX #9", "UAX #15", "UTS #39 §5.2", "UTS #51", "CVE-2021-42574", "ASVS 1.1.1", "ASVS 2.2.1", "CWE-176", "CWE-451", "CWE-1007"},
			Events: []string{"input_validation_fail"},
		},
		{
			Name: "msgpack", Title: "Binary frames, one gate", Layer: Message, Numbers: []int{72},
			Threat: "Nine bytes claim four thousand million elements, and a decoder that believes them allocates them; or a second format has a second validator, that lets through what the first refuses.",
			NotStopped: []string{
				"What a correct command may do, and how often: the rest of the path is the same.",
			},
			Refs:   []string{"ASVS 1.5.2", "CVE-2026-2454", "CVE-2026-5740", "CWE-400", "CWE-436", "CWE-502", "CWE-789"},
			Events: []string{"input_validation_fail"},
		},
		{
			Name: "sql", Title: "SQL is constant text", Layer: Message, Numbers: []int{66},
			Threat: "Text of a message or a search becomes a part of a statement and reads or changes what it should not.",
			NotStopped: []string{
				"A statement that asks for too much of its own accord.",
				"A search that is expensive: the budgets bound those.",
			},
			Refs:   []string{"ASVS 1.2.4", "CWE-89", "CVE-2024-27304", "OWASP SQL Injection Prevention Cheat Sheet"},
			Events: nil,
		},
		{
			Name: "upload", Title: "Files are made again", Layer: Message, Numbers: []int{69, 71},
			Threat: "A file is two things at once, a picture for the check and a script for the browser; claims a size that fills the memory; or tells more than its author knows.",
			NotStopped: []string{
				"What is inside of a PDF: it is only offered for saving, as it was sent.",
				"What a picture shows.",
				"A hole in a decoder of Go's library, which is memory-safe.",
			},
			Refs:   []string{"ASVS 5.2.1", "ASVS 5.2.2", "ASVS 5.2.4", "ASVS 5.3.1", "ASVS 5.3.2", "ASVS 5.4.1", "CWE-22", "CWE-79", "CWE-409", "CWE-434", "CWE-1230", "CVE-2020-15779", "RFC 6266", "OWASP File Upload Cheat Sheet"},
			Events: []string{"upload_validation", "upload_stored", "input_validation_fail", "excess_rate_limit_exceeded"},
			Knobs:  []string{"PORTCULLIS_UPLOAD_BYTES", "PORTCULLIS_UPLOAD_QUOTA"},
		},
		{
			Name: "malware", Title: "Nothing unscanned is published", Layer: Message, Numbers: []int{70},
			Threat: "A member posts a file that harms whoever opens it, at best while the scanner is down.",
			NotStopped: []string{
				"What no scanner knows yet.",
				"Without a scanner, everything but the EICAR test file; production then takes only pictures.",
			},
			Refs:   []string{"ASVS 5.4.3", "CWE-434", "CWE-636", "OWASP File Upload Cheat Sheet"},
			Events: []string{"upload_validation", "upload_stored", "ws_fail_closed"},
			Knobs:  []string{"PORTCULLIS_CLAMD"},
		},
		{
			Name: "admin-separation", Title: "Administration is elsewhere", Layer: Message, Numbers: []int{40},
			Threat: "A user, or script in a user's page, finds a command, a field or a route that administers, and gives itself a role or takes somebody else's account; a thief with an administrator's cookie does the same.",
			NotStopped: []string{
				"Whoever has a shell on the server and its database password is an administrator.",
				"An administrator, or malware in their browser, in the minutes after a proof of who they are.",
				"Owners and moderators of a room rule over that room, over the chat's own calls.",
			},
			Refs:   []string{"ASVS 8.4.2", "ASVS 15.3.3", "CWE-269", "CWE-915"},
			Events: []string{"authz_fail", "authz_admin", "authz_change", "ws_revoked_close", "excess_rate_limit_exceeded"},
		},
		{
			Name: "room-names", Title: "Names in Redis", Layer: Message, Numbers: []int{41},
			Threat: "Text of a client becomes a part of a channel's or a key's name in Redis: a star subscribes to every room, a colon leads into somebody else's keys.",
			NotStopped: []string{
				"Whoever can reach Redis itself.",
				"Another program that shares the prefix: give each its own.",
			},
			Refs: []string{"ASVS 8.4.1", "CWE-74", "CWE-668"},
		},
		{
			Name: "output", Title: "Text stays text", Layer: Message, Numbers: []int{65, 102},
			Threat: "A message, a name or an address becomes markup or script in the page that shows it, or tells the page to connect its socket elsewhere.",
			NotStopped: []string{
				"A link that a person clicks. It shows where it leads.",
				"What is said in words.",
			},
			Refs: []string{"ASVS 1.2.1", "ASVS 1.2.2", "ASVS 3.2.2", "CWE-79", "CWE-601", "OWASP Cross Site Scripting Prevention Cheat Sheet"},
		},
		{
			Name: "link-preview", Title: "No link is fetched", Layer: Message, Numbers: []int{74},
			Threat: "A server that shows previews of links fetches what anybody names: the metadata service of its cloud, a router, a database.",
			NotStopped: []string{
				"A person who follows a link. It shows where it leads, and gets no referrer.",
				"The tunnel's targets: those the operator has listed.",
			},
			Refs:     []string{"ASVS 1.3.6", "ASVS 15.3.2", "CWE-918", "OWASP SSRF Prevention Cheat Sheet"},
			NoAttack: "there is nothing to attack: no part of the server opens a connection to an address that a client names",
		},
		{
			Name: "business-limits", Title: "How much one account may have", Layer: Message, Numbers: []int{120},
			Threat: "An account does only what is allowed, ten thousand times: rooms, files, people in a room, until nobody else finds anything.",
			NotStopped: []string{
				"Many accounts. Close sign-up, or make it harder.",
				"What is taken away and made again: a room of a thousand may have another thousand tomorrow.",
			},
			Refs:   []string{"ASVS 2.1.3", "ASVS 2.3.2", "ASVS 2.4.1", "ASVS 5.2.4", "CWE-770", "CWE-799"},
			Events: []string{"excess_rate_limit_exceeded"},
			Knobs: []string{
				"PORTCULLIS_ROOMS_PER_USER", "PORTCULLIS_MEMBERS_PER_ROOM", "PORTCULLIS_INVITES_PER_HOUR", "PORTCULLIS_DIRECT_ROOMS_PER_DAY", "PORTCULLIS_UPLOAD_QUOTA",
			},
		},
		{
			Name: "replay", Title: "A command counts once", Layer: Message, Numbers: []int{116},
			Threat: "A command is sent again, by a network that repeats it or by an attacker who recorded it, and is done again.",
			NotStopped: []string{
				"With a stolen session an attacker writes new commands.",
				"The same id with another body is answered with the first message.",
			},
			Refs:   []string{"RFC 9562 §5.7", "ASVS 15.4.2", "CWE-294", "OWASP WebSocket Security Cheat Sheet: replay"},
			Events: []string{"ws_replay_rejected"},
		},
		{
			Name: "no-shell", Title: "Text is never run", Layer: Message, Numbers: []int{67},
			Threat: "A title, a file name or a search that reaches a shell is a program, and text that reaches eval in a page is one too.",
			NotStopped: []string{
				"The operator: whoever sets PATH chooses the database server that development mode starts.",
				"A hole in PostgreSQL's own COPY … PROGRAM; the server's database role may not use it.",
			},
			Refs:     []string{"ASVS 1.3.2", "ASVS 1.2.5", "CWE-78", "CWE-95", "OWASP WebSocket Security Cheat Sheet: Input validation"},
			NoAttack: "Nothing that a client sends comes near a command line; its tests export hostile variables and read the source.",
		},
	}
}
