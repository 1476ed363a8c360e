package main

// administration are those of what only officials may see and do.
func administration() []mutant {
	return []mutant{
		{
			Control: "admin-separation",
			Removes: "a field that nobody asked for is passed over",
			File:    "internal/site/json.go",
			Old:     "json.RejectUnknownMembers(true)",
			New:     "json.RejectUnknownMembers(false)",
			Package: "./internal/site",
			Kills:   []string{"TestSignUp_takesNoRole"},
		},
		{
			Control: "admin-separation",
			Removes: "whoever is signed in is an official",
			File:    "internal/site/admin.go",
			Old:     "case !c.rule.role(actor.Role):",
			New:     "case false:",
			Package: "./internal/site",
			Kills:   []string{"TestAdmin_existsOnlyForItsRoles"},
		},
		{
			Control: "admin-separation",
			Removes: "an auditor acts",
			File:    "internal/site/routes.go",
			Old:     "fresh: true, role: authz.CanAdminister},",
			New:     "fresh: true, role: authz.CanSeeEvents},",
			Package: "./internal/site",
			Kills:   []string{"TestAdmin_existsOnlyForItsRoles"},
		},
		{
			Control: "admin-separation",
			Removes: "a stolen session acts without a proof from the last minutes",
			File:    "internal/site/routes.go",
			Old:     "fresh: true, role: authz.CanAdminister},",
			New:     "role: authz.CanAdminister},",
			Package: "./internal/site",
			Kills:   []string{"TestAdmin_actsTakeARoleAFreshProofAndAToken"},
		},
		{
			Control: "admin-separation",
			Removes: "acts leave no trace of their kind",
			File:    "internal/site/admin_acts.go",
			Old:     "Name: audit.AuthzAdmin,",
			New:     "Name: audit.Disconnect,",
			Package: "./internal/site",
			Kills:   []string{"TestAdmin_actsTakeARoleAFreshProofAndAToken"},
		},
		{
			Control: "admin-separation",
			Removes: "a stream of events goes on without its reader's role",
			File:    "internal/site/admin_stream.go",
			Old:     "err == nil && !st.c.rule.role(actor.Role) {",
			New:     `err == nil && actor.Role == "nobody" {`,
			Package: "./internal/site",
			Kills:   []string{"TestEvents_endWithTheSessionAndTheRole"},
		},
	}
}
