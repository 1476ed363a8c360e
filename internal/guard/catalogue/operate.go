package catalogue

func operate() []Control {
	return []Control{
		{
			Name: "startup", Title: "Weak configuration does not start", Layer: Operate, Numbers: []int{119},
			Threat: "A sample key, a limit that was misspelt or a demo setting goes live, and nobody notices, because the server starts.",
			NotStopped: []string{
				"A strong configuration of the wrong server.",
				"What changes after the start.",
			},
			Refs:     []string{"ASVS 13.2.3", "ASVS 13.3.1", "ASVS 13.4.2", "ASVS 15.2.3", "CWE-1188"},
			Events:   []string{"config_weak_refused", "sys_startup", "sys_shutdown"},
			Knobs:    []string{"PORTCULLIS_ENV"},
			NoAttack: "It is about the operator's own configuration; its tests start weak ones.",
		},
		{
			Name: "private-listener", Title: "Numbers are for operators", Layer: Operate, Numbers: []int{123},
			Threat: "Metrics and profiles on the public port, or a page in an operator's browser that reads them on the private one, tell an attacker who is connected and how to stop the server.",
			NotStopped: []string{
				"A program on the same machine or in the same network: the listener has no sign-in.",
			},
			Refs:     []string{"ASVS 13.4.5", "RFC 9110 §7.4", "CWE-200", "CWE-350"},
			Events:   []string{"input_validation_discrete_fail"},
			Knobs:    []string{"PORTCULLIS_PRIVATE_LISTEN"},
			NoAttack: "No outside client reaches it; its tests ask it as a rebound name and as a page.",
		},
		{
			Name: "proxies", Title: "Proxies that do not undo it", Layer: Operate, Numbers: []int{126},
			Threat: "A proxy in front passes a client's own X-Forwarded-For on, changes Host, logs tickets, ends quiet sockets, or takes a refused upgrade for a tunnel through which the next request goes unseen.",
			NotStopped: []string{
				"A web application firewall sees the handshake and nothing after it: frames are masked and a connection lives for hours. Inspection, limits and logging are in the app.",
				"A proxy that nobody tested: these are samples of three, in the versions of one Debian.",
				"A flood of connections: the proxy's own limits are yours to set.",
			},
			Refs:   []string{"ASVS 4.2.1", "ASVS 13.4.6", "RFC 9110 §7.6.1", "RFC 7239 §8.1", "CWE-444", "CWE-348", "OWASP WebSocket Security Cheat Sheet"},
			Events: []string{"ws_handshake_reject"},
			Knobs:  []string{"PORTCULLIS_TRUSTED_PROXIES"},
		},
		{
			Name: "kill-matrix", Title: "Tests that can fail", Layer: Operate, Numbers: []int{108},
			Threat: "A change moves a control away from under its test, the test asks something that is always true from then on, and everybody believes in a wall that is not there.",
			NotStopped: []string{
				"A hole that nobody thought of: each mutant is one that somebody did.",
				"A change that removes the control, its mutant and its test together.",
			},
			Refs:     []string{"CWE-693", "CWE-1053", "OWASP WebSocket Security Cheat Sheet: Testing"},
			NoAttack: "It is about our own tests; its own are given blind, skipped, hanging and panicking ones.",
		},
		{
			Name: "fanout", Title: "What one node decides, all know", Layer: Operate,
			Threat: "A node that was not told of a revocation serves who should be gone; and whoever can write to Redis tells nodes lies.",
			NotStopped: []string{
				"Who can write to Redis can hold back what nodes say, or say it again: it comes late, from PostgreSQL, and what is repeated does nothing.",
				"A PostgreSQL that lies.",
			},
			Refs:     []string{"ASVS 7.4.1", "ASVS 8.3.2", "ASVS 8.4.1", "ASVS 16.5.3", "CWE-345", "CWE-613", "CWE-672", "CWE-924"},
			Knobs:    []string{"PORTCULLIS_AUDIT_KEY"},
			Events:   []string{"ws_fanout_degraded", "ws_fail_closed"},
			NoAttack: "It is about the line between nodes; its tests cut, pause and forge that line.",
		},
		{
			Name: "least-privilege", Title: "The server owns nothing", Layer: Operate, Numbers: []int{124},
			Threat: "Whoever makes the server run one statement, or reads its password, has the rights of its role: the owner's drop tables and rewrite the log, a superuser's start programs.",
			NotStopped: []string{
				"Reading and changing rows of the chat: that is what the server does.",
				"A connection that sets its role back, where a test or an operator let the owner sign in and only set a role.",
			},
			Refs:     []string{"ASVS 13.2.2", "ASVS 16.4.2", "CWE-250", "CWE-272"},
			Events:   []string{"config_weak_refused"},
			Knobs:    []string{"DATABASE_URL", "DATABASE_MIGRATE_URL"},
			NoAttack: "No client reaches the database; its tests sign in as the server and run what an intruder would.",
		},
		{
			Name: "retention", Title: "What is not kept cannot leak", Layer: Operate, Numbers: []int{122},
			Threat: "Years of messages wait for whoever gets in, and an account that its owner deleted is still there to be read, or used.",
			NotStopped: []string{
				"Backups, and what others have read, saved or quoted.",
				"Who wrote when, and to which room, stays, without the words.",
				"Pages that are open keep what they show until they are loaded again.",
			},
			Refs:   []string{"ASVS 14.2.4", "ASVS 14.2.7", "GDPR Art. 5(1)(e), 17", "CWE-212"},
			Events: []string{"user_deleted", "sensitive_read", "excess_rate_limit_exceeded"},
			Knobs:  []string{"PORTCULLIS_KEEP_MESSAGES"},
		},
		{
			Name: "supply-chain", Title: "Known parts", Layer: Operate, Numbers: []int{104},
			Threat: "A pinned library has a published hole and nobody looks; on the day of the next one nobody can say whether it is linked.",
			NotStopped: []string{
				"A hole that nobody has published.",
				"A maintainer who turns; updates wait seven days, which helps a little.",
				"What runs beside us: PostgreSQL, Redis, the proxy, the kernel.",
			},
			Refs:     []string{"ASVS 15.1.1", "ASVS 15.1.2", "ASVS 15.2.1", "ASVS 15.2.4", "CWE-1395", "CWE-1104", "CVE-2020-27813", "CVE-2025-29923"},
			NoAttack: "No client attacks a pin; its tests seed vulnerable ones.",
		},
		{
			Name: "drill", Title: "Plans that were run", Layer: Operate, Numbers: []int{105},
			Threat: "On the day that a key leaks, somebody finds out that the second node kept the old key and that nobody knows which command ends a session.",
			NotStopped: []string{
				"It does not find a leak and does not decide whom to tell.",
				"Rotating the passwords of PostgreSQL and Redis is in the plan and not in the drill.",
			},
			Refs:     []string{"ASVS 16.1.1", "ASVS 7.4.1", "CWE-778", "OWASP WebSocket Security Cheat Sheet: Incident response"},
			NoAttack: "The drill is itself the attacker: it forges tickets, uses a stolen cookie and floods, and asserts that each works before the operator acts.",
		},
		{
			Name: "audit-calendar", Title: "Audits with a date", Layer: Operate, Numbers: []int{106},
			Threat: "Controls are looked at once, by those who built them, and a list of what to look at is copied from a year ago.",
			NotStopped: []string{
				"A calendar that nobody keeps.",
				"What is outside of this repository: machines, people, the proxy.",
			},
			Refs:     []string{"ASVS 15.1.1", "CWE-1053", "OWASP WebSocket Security Cheat Sheet: Testing"},
			NoAttack: "It is a list for people; its test compares it with the catalogue.",
		},
		{
			Name: "living-documents", Title: "Documents that cannot rot", Layer: Operate, Numbers: []int{107},
			Threat: "A threat model, a list of controls or a runbook names files, variables and commands that were renamed, and whoever follows it in an emergency loses the hour that counts.",
			NotStopped: []string{
				"A sentence that is wrong about something that exists.",
			},
			Refs:     []string{"ASVS 8.1.1", "ASVS 14.1.1", "ASVS 16.1.1", "CWE-1053"},
			NoAttack: "No client reads our documents; the tests give directives that sit on nothing.",
		},
		{
			Name: "concurrency", Title: "Every order of events", Layer: Operate, Numbers: []int{121},
			Threat: "Two things happen at once in an order that nobody tried: a member is removed while joining, a socket registers while the node stops, a lock is held across a write to a peer that does not read, and one client stops all.",
			NotStopped: []string{
				"An order that the tests do not play.",
				"A race inside of a library.",
			},
			Refs:     []string{"ASVS 15.4.1", "ASVS 15.4.2", "ASVS 15.4.3", "CWE-362", "CWE-367", "CWE-667"},
			NoAttack: "No client chooses the order; the tests play every one, under the race detector.",
		},
	}
}
