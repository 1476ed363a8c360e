package catalogue

func transport() []Control {
	return []Control{
		{
			Name: "tls", Title: "TLS, and nothing in clear", Layer: Transport, Numbers: []int{1},
			Threat: "Somebody on the way reads cookies, tickets and messages, changes a page, or talks a client down to a version or suite that is broken.",
			NotStopped: []string{
				"What a proxy in front does: TLS ends there, and its sample says how.",
				"A client that does not verify the certificate.",
				"A program that sends its secret to the cleartext listener has sent it; it is told so and the event says so.",
			},
			Refs:   []string{"RFC 9325 §4.2", "RFC 6455 §10.6", "RFC 8441", "RFC 9110 §15.5.22", "ASVS 4.1.2", "ASVS 4.4.1", "ASVS 12.1.1", "ASVS 12.1.2", "ASVS 12.2.1", "CWE-319", "CWE-757"},
			Events: []string{"cleartext_refused"},
			Knobs:  []string{"PORTCULLIS_TLS_CERT", "PORTCULLIS_TLS_KEY", "PORTCULLIS_PLAIN_LISTEN"},
		},
		{
			Name: "certificates", Title: "Certificates that do not end the service", Layer: Transport, Numbers: []int{2},
			Threat: "A certificate ends on a Sunday, or a new one is put in place with the wrong key, for the wrong name or half written; its key is readable by every account of the machine.",
			NotStopped: []string{
				"A key that was copied before.",
				"An authority that is deceived: publish CAA records and watch certificate transparency logs.",
				"After a restart each threshold before the end is said once more.",
			},
			Refs:     []string{"RFC 8555", "RFC 8737", "RFC 9525", "ASVS 12.2.2", "ASVS 13.3.4", "CWE-295", "CWE-298", "CWE-732"},
			Events:   []string{"cert_reloaded", "cert_reload_failed", "cert_expiring"},
			Knobs:    []string{"PORTCULLIS_TLS_CERT", "PORTCULLIS_TLS_KEY", "PORTCULLIS_ACME_DIRECTORY", "PORTCULLIS_ACME_EMAIL", "PORTCULLIS_ACME_ACCEPT_TERMS"},
			NoAttack: "It is about files on the server and its authority; its tests corrupt, swap and age them, and ask for foreign names.",
		},
		{
			Name: "backend-tls", Title: "Backends that prove who they are", Layer: Transport, Numbers: []int{4},
			Threat: "Somebody in the server's own network listens to PostgreSQL and Redis, or answers in their place, because the connection is in clear or believes any certificate.",
			NotStopped: []string{
				"A backend that was taken over: its certificate is right.",
				"Loopback addresses and Unix sockets need no TLS: whoever can listen there is on this machine.",
				"Whether the Redis user is limited to its keys: the server cannot see its own rights.",
			},
			Refs:     []string{"ASVS 12.3.1", "ASVS 12.3.2", "ASVS 12.3.3", "ASVS 16.3.4", "CWE-295", "CWE-319"},
			Events:   []string{"config_weak_refused", "backend_untrusted"},
			Knobs:    []string{"DATABASE_URL", "REDIS_URL", "PORTCULLIS_DATABASE_CA", "PORTCULLIS_REDIS_CA"},
			NoAttack: "It is about the line between the server and its backends; its tests put impostors there.",
		},
		{
			Name: "mtls", Title: "Services prove who they are", Layer: Transport, Numbers: []int{6},
			Threat: "A program of nobody's connects to the routes that are for services, with a token that it found.",
			NotStopped: []string{
				"What a service with a right certificate may do: that is decided where its identity is looked up.",
				"A stolen certificate, until it ends: there is no revocation list, so make them short-lived.",
				"A change of the client authority needs a restart.",
			},
			Refs:   []string{"RFC 8446 §4.4.2", "RFC 9525 §2", "ASVS 12.1.3", "ASVS 12.3.5", "CWE-295", "CWE-306"},
			Events: []string{"tls_peer_refused"},
			Knobs:  []string{"PORTCULLIS_SERVICE_LISTEN", "PORTCULLIS_SERVICE_CERT", "PORTCULLIS_SERVICE_KEY", "PORTCULLIS_SERVICE_CLIENT_CA"},
		},
		{
			Name: "devcert", Title: "Development certificates", Layer: Transport, Numbers: []int{3},
			Threat: "A certificate authority that a developer trusts for one project signs for every site in the world once somebody steals its key.",
			NotStopped: []string{
				"Whoever can read the folder can use the certificate's key, for 30 days, for names of this machine.",
				"A client that ignores name constraints would accept more; the key of the authority is gone all the same.",
			},
			Refs:     []string{"ASVS 12.1.1", "ASVS 13.3.4", "RFC 5280 §4.2.1.10", "RFC 6761 §6.3", "CWE-295", "CWE-321"},
			Knobs:    []string{"PORTCULLIS_TLS_CERT", "PORTCULLIS_TLS_KEY"},
			NoAttack: "It is about certificates on the developer's machine; its tests verify foreign names.",
		},
	}
}
