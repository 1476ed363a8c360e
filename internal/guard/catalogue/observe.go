package catalogue

func observe() []Control {
	return []Control{
		{
			Name: "audit", Title: "The security log", Layer: Observe, Numbers: []int{89, 90, 91, 92},
			Threat: "An attack that leaves no trace is repeated until it works; and a log that takes text as it comes is where an attacker hides, or finds tickets.",
			NotStopped: []string{
				"A flood of events drops some: the counts by name are whole, the lines are not, and an event says so.",
				"A user name that somebody typed as their password is in the log, as it was given.",
			},
			Refs:     []string{"ASVS 16.2.5", "ASVS 16.3.1", "ASVS 16.3.2", "ASVS 16.3.3", "ASVS 16.3.4", "ASVS 16.4.1", "CWE-117", "CWE-532", "CWE-778", "OWASP Logging Cheat Sheet", "OWASP Logging Vocabulary Cheat Sheet"},
			Events:   []string{"sys_monitor_disabled", "sys_events_sampled"},
			Knobs:    []string{"PORTCULLIS_LOG_FORMAT"},
			NoAttack: "An attacker sees no log; its tests plant hostile text and read the log.",
		},
		{
			Name: "errors", Title: "Errors say little", Layer: Observe, Numbers: []int{118},
			Threat: "An attacker breaks things on purpose and reads from the error which library, statement, path or room was behind it; or a panic takes everybody's connections with it.",
			NotStopped: []string{
				"The status and the code: a client needs to know whether to sign in, to wait or to give up.",
				"Somebody who reads the log with the request id at hand: that is what it is for.",
			},
			Refs:   []string{"ASVS 16.5.1", "ASVS 16.5.4", "ASVS 13.4.6", "CWE-209", "CWE-248"},
			Events: []string{"sys_crash"},
		},
		{
			Name: "audit-chain", Title: "A log that shows what was done to it", Layer: Observe, Numbers: []int{93},
			Threat: "Whoever gets into the database removes the line that tells of it, or makes it say something else, and the log looks whole.",
			NotStopped: []string{
				"Whoever has the key, which is whoever has the running server.",
				"Whoever has the server's role adds the next row, which the walk finds, and holds the log's lock while their connection lives.",
				"An end that is cut off, when no copy of the log is kept elsewhere to compare with.",
				"Events that were never stored, and those from before the chain.",
			},
			Refs:     []string{"ASVS 16.4.2", "ASVS 16.4.3", "CWE-117", "CWE-354", "RFC 2104"},
			Events:   []string{"sys_monitor_heartbeat"},
			Knobs:    []string{"PORTCULLIS_AUDIT_KEY"},
			NoAttack: "It is about somebody with the database's password; its tests are that somebody, in fifteen ways.",
		},
		{
			Name: "detection", Title: "Refusals that add up", Layer: Observe, Numbers: []int{94, 95},
			Threat: "Each control refuses one request and forgets it, so whoever tries a hundred ids, accounts or protocol errors one by one is refused a hundred times and never seen.",
			NotStopped: []string{
				"Patience: one try a day, or one try from each of many networks.",
				"What leaves no event: reading lengths on the wire, or reading with a copied cookie from its owner's network.",
				"Guesses of a compression oracle that are digits alone: a gauge sends the same.",
				"A database that does not answer: nothing is added up until it does, and that is said.",
			},
			Refs:   []string{"ASVS 16.3.2", "ASVS 16.3.3", "ASVS 2.4.1", "CWE-778", "CWE-799", "OWASP Logging Vocabulary Cheat Sheet"},
			Events: []string{"detect_rule_fired", "malicious_direct_reference", "authn_impossible_travel", "ws_compression_oracle", "sys_monitor_disabled", "sys_monitor_enabled"},
		},
		{
			Name: "response", Title: "Responses that can be taken back", Layer: Observe, Numbers: []int{96},
			Threat: "An attack that is seen goes on all the same; or the response itself becomes the weapon, aimed at a victim's account, or at everybody behind one address.",
			NotStopped: []string{
				"Whoever changes networks.",
				"A thief who uses a copied cookie only while its owner sleeps: the session is asked for a proof and goes on.",
				"Those who share a network with an attacker share its smaller budgets for minutes.",
			},
			Refs:     []string{"ASVS 6.3.1", "ASVS 2.4.1", "CWE-645", "CWE-799", "OWASP Logging Cheat Sheet"},
			Events:   []string{"response_action"},
			NoAttack: "It is what the server does after an attack; its tests fire rules and count what is left of the budgets, of the attacker and of the victim.",
		},
		{
			Name: "monitor", Title: "Watching the watchman", Layer: Observe, Numbers: []int{97},
			Threat: "The attacker stops the log first: fills its disk, cuts its database off, moves a clock; and a log without lines looks like a quiet day.",
			NotStopped: []string{
				"Nobody looking: whoever collects the log has to raise the alarm when a heartbeat is missing.",
			},
			Refs:     []string{"ASVS 16.2.2", "ASVS 16.3.4", "CWE-778"},
			Events:   []string{"sys_monitor_heartbeat", "sys_monitor_disabled", "sys_monitor_enabled"},
			NoAttack: "It is about the server's own clock and database; its tests move the one and break the other.",
		},
	}
}
