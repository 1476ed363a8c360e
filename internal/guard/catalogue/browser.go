package catalogue

func browser() []Control {
	return []Control{
		{
			Name: "hsts", Title: "HTTPS, remembered", Layer: Browser, Numbers: []int{98},
			Threat: "Somebody on the line answers the first, plain request of a browser that once knew better, and the session cookie or the page goes through their hands.",
			NotStopped: []string{
				"The very first visit of a browser that has never seen the header.",
				"Names of one machine: localhost and its kin are never told, because a developer's other projects live there too.",
			},
			Refs:     []string{"RFC 6797 §7.2", "ASVS 3.4.1", "CWE-319"},
			Knobs:    []string{"PORTCULLIS_BASE_URL"},
			NoAttack: "It acts inside of a browser that has seen the header, over https; its tests read the header of every kind of answer.",
		},
		{
			Name: "headers", Title: "What pages may do", Layer: Browser, Numbers: []int{99, 100, 101, 103},
			Threat: "One line of chat that becomes script acts as its reader and sends everything away; a foreign page frames ours; an error page comes without the headers that good pages have.",
			NotStopped: []string{
				"Script that gets in by a nonced script of ours: a policy is the second line.",
				"A browser that does not know Trusted Types or CSP level 3 gets less.",
			},
			Refs:   []string{"ASVS 3.4.3", "ASVS 3.4.4", "ASVS 3.4.5", "ASVS 3.4.6", "ASVS 3.4.7", "ASVS 3.4.8", "ASVS 3.6.1", "ASVS 13.4.6", "CWE-79", "CWE-525", "CWE-1021", "CSP level 3", "Trusted Types"},
			Events: []string{"malicious_csp_violation"},
			Knobs:  []string{"PORTCULLIS_BASE_URL", "PORTCULLIS_ALLOWED_ORIGINS"},
		},
	}
}
