package main

func session() []mutant {
	return []mutant{
		{
			Control: "session",
			Removes: "a request that comes late sets the cookie of a session that was ended",
			File:    "internal/guard/session/wrap.go",
			Old: `if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}`,
			New: `if err != nil && !errors.Is(err, ErrNone) {
			return err
		}`,
			Package: "./internal/guard/session",
			Kills:   []string{"TestRenew_ofASessionThatEndedOrWasRenewedMeanwhileSaysSo", "TestWrap_doesNotReviveSignedOutSession"},
		},
		{
			Control: "session",
			Removes: "of two session cookies one is believed",
			File:    "internal/guard/session/wrap.go",
			Old:     "if len(cookies) != 1 || len(cookies[0].Value) != tokenLength {",
			New:     "if len(cookies) == 0 || len(cookies[0].Value) != tokenLength {",
			Package: "./internal/guard/session",
			Kills:   []string{"TestToken_refusesTwoCookiesAndForeignShapes"},
		},
		{
			Control: "session",
			Removes: "signing in keeps the session that was planted before",
			File:    "internal/guard/session/change.go",
			Old: `	if err := m.scs.RenewToken(ctx); err != nil {
		return Session{}, fmt.Errorf("end the session before sign-in: %w", err)
	}
`,
			New:     "",
			Package: "./internal/guard/session",
			Kills:   []string{"TestSignIn_endsPlantedSession"},
		},
		{
			Control: "session",
			Removes: "the secret of the forms outlives a renewal",
			File:    "internal/guard/session/change.go",
			Old: `	r.CSRF = newSecret()
`,
			New:     "",
			Package: "./internal/guard/session",
			Kills:   []string{"TestRenew_changesTokenAndSecretButNotSessionNorItsEnd"},
		},
		{
			Control: "session",
			Removes: "scripts can read the cookie, and it goes out in clear",
			File:    "internal/guard/session/session.go",
			Old: `			Secure:   true,
			HttpOnly: true,`,
			New:     "",
			Package: "./internal/guard/session",
			Kills:   []string{"TestWrap_setsCookieThatSiblingHostsCannotPlantNorScriptsRead"},
		},
		{
			Control: "session",
			Removes: "a renewal moves the absolute end",
			File:    "internal/guard/session/session.go",
			Old: `	m.scs.SetDeadline(ctx, r.EndsAt)
`,
			New:     "",
			Package: "./internal/guard/session",
			Kills:   []string{"TestRenew_doesNotLetCookieOutliveSession"},
		},
		{
			Control: "session",
			Removes: "the database holds the tokens themselves",
			File:    "internal/guard/session/codec.go",
			Old: `h := sha256.Sum256([]byte(token))
	return h[:]`,
			New: `_ = sha256.Size
	return []byte(token)`,
			Package: "./internal/guard/session",
			Kills:   []string{"TestHashToken_isNotTheToken"},
		},
		{
			Control: "session",
			Removes: "sessions that were revoked are live",
			File:    "internal/postgres/sessions.go",
			Old:     "running = `s.revoked_at IS NULL AND s.idle_ends_at > $1 AND s.ends_at > $1`",
			New:     "running = `s.idle_ends_at > $1 AND s.ends_at > $1`",
			Package: "./internal/postgres",
			Kills:   []string{"TestSessions_keepTheContract", "TestSessions_aRevocationBeatsTheCommitThatWaitsForIt"},
		},
		{
			Control: "session",
			Removes: "a commit writes a session that ended meanwhile",
			File:    "internal/postgres/sessions.go",
			Old:     "WHERE s.user_id IS NOT DISTINCT FROM excluded.user_id AND ` + live + `\n\tRETURNING s.sid",
			New: `WHERE s.user_id IS NOT DISTINCT FROM excluded.user_id
	RETURNING s.sid`,
			Package: "./internal/postgres",
			Kills:   []string{"TestSessions_keepTheContract", "TestSignOut_endsTheSessionWhoeverRenewsItMeanwhile"},
		},
		{
			Control: "session",
			Removes: "a password that was changed meanwhile still signs in",
			File:    "internal/postgres/sessions.go",
			Old:     "u.credential_gen = $13 AND",
			New:     "$13::bigint >= 0 AND",
			Package: "./internal/postgres",
			Kills:   []string{"TestSignIn_doesNotSurviveAChangeThatCommitsBetweenProofAndSession"},
		},
		{
			Control: "revalidation",
			Removes: "a session that ended unseen keeps its sockets",
			File:    "internal/socket/revalidate.go",
			Old: `	case c.close(closeRevoked):
		s.record(c, audit.RevokedClose, audit.Info, "revalidation", "session_gone")
`,
			New:     "",
			Package: "./internal/socket",
			Kills:   []string{"TestRevalidation_findsARevocationThatNobodyTold"},
		},
		{
			Control: "revalidation",
			Removes: "a store that cannot answer counts as a yes",
			File:    "internal/socket/revalidate.go",
			Old: `case !errors.Is(err, session.ErrNone):
		c.failClosed("revalidation", "session_store", err)`,
			New:     "case !errors.Is(err, session.ErrNone):",
			Package: "./internal/socket",
			Kills:   []string{"TestRevalidation_aStoreThatCannotAnswerEndsTheSocket"},
		},
		{
			Control: "revocation",
			Removes: "ending a session closes nothing",
			File:    "internal/socket/revoke.go",
			Old: `for _, c := range conns {
		s.closeRevoked(c, code, r)`,
			New: `for _, c := range conns[:0] {
		s.closeRevoked(c, code, r)`,
			Package: "./internal/socket",
			Kills:   []string{"TestRevoke_endsEverySocketOfTheSessionAtOnce"},
		},
		{
			Control: "revocation-race",
			Removes: "nobody looks again after the registration",
			File:    "internal/socket/revalidate.go",
			Old: `case errors.Is(err, session.ErrNone), err == nil && live.User != c.actor.User.UUID:
		s.record(c, audit.RevokeRaceStop`,
			New: `case live.User != c.actor.User.UUID && err == nil:
		s.record(c, audit.RevokeRaceStop`,
			Package: "./internal/socket",
			Kills:   []string{"TestAccept_aSessionRevokedBetweenCheckAndRegistrationGetsNothing"},
		},
		{
			Control: "sign-out-cleanup",
			Removes: "the browser keeps its storage",
			File:    "internal/site/signin.go",
			Old: `	w.Header().Set("Clear-Site-Data", clearSiteData)
`,
			New:     ``,
			Package: "./internal/site",
			Kills:   []string{"TestSignOut_endsTheSessionItsSocketsAndWhatTheBrowserStored"},
		},
		{
			Control: "sign-out-cleanup",
			Removes: "a browser that heeds no redirect keeps its storage",
			File:    "internal/site/pages.go",
			Old: `		w.Header().Set("Clear-Site-Data", clearSiteData)
`,
			New:     ``,
			Package: "./internal/site",
			Kills:   []string{"TestSignOut_ofAFormEmptiesTheBrowserOnThePageThatItLeadsToToo"},
		},
		{
			Control: "sign-out-cleanup",
			Removes: "a link of another site empties the browser",
			File:    "internal/site/pages.go",
			Old:     ` && c.Header.Get("Sec-Fetch-Site") == "same-origin" {`,
			New:     ` {`,
			Package: "./internal/site",
			Kills:   []string{"TestSignOut_ofAFormEmptiesTheBrowserOnThePageThatItLeadsToToo"},
		},
		{
			Control: "session-limit",
			Removes: "sessions pile up",
			File:    "internal/site/signin.go",
			Old: `	return s.trim(c)
`,
			New: `	return nil
`,
			Package: "./internal/site",
			Kills:   []string{"TestSessionLimit_endsTheOldestAndNeverRefusesTheNewest"},
		},
		{
			Control: "session-limit",
			Removes: "the newest session may be the one that ends",
			File:    "internal/postgres/revoke.go",
			Old:     "s.user_id = $2 AND s.sid <> $3 AND ` + running + ` ORDER BY s.created_at DESC",
			New:     "s.user_id = $2 AND $3::uuid IS NOT NULL AND ` + running + ` ORDER BY s.created_at DESC",
			Package: "./internal/postgres",
			Kills:   []string{"TestTrim_endsTheOldestAndNeverTheOneToKeep"},
		},
		{
			Control: "session-limit",
			Removes: "the new session's page does not say what ended",
			File:    "internal/site/signin.go",
			Old:     "	if len(ended) > 0 {\n",
			New:     "	if false {\n",
			Package: "./internal/site",
			Kills:   []string{"TestSessionLimit_endsTheOldestAndNeverRefusesTheNewest"},
		},
		{
			Control: "session-limit",
			Removes: "the user's other sockets are not told",
			File:    "internal/socket/revoke.go",
			Old:     "		s.tellOfLimit(r)\n",
			New:     "",
			Package: "./internal/socket",
			Kills:   []string{"TestSessionLimit_tellsTheUsersOtherSocketsOnceAndTheEndedOneWhy"},
		},
		{
			Control: "session-limit",
			Removes: "the ended session is not told why",
			File:    "internal/socket/revoke.go",
			Old:     "		code = closeLimit\n",
			New:     "",
			Package: "./internal/socket",
			Kills:   []string{"TestSessionLimit_tellsTheUsersOtherSocketsOnceAndTheEndedOneWhy"},
		},
		{
			Control: "session-limit",
			Removes: "each poll of the outbox tells it again",
			File:    "internal/socket/revoke.go",
			Old:     "due := now.Sub(c.limitTold) >= tellEvery",
			New:     "due := !now.IsZero()",
			Package: "./internal/socket",
			Kills:   []string{"TestSessionLimit_tellsTheUsersOtherSocketsOnceAndTheEndedOneWhy"},
		},
		{
			Control: "session-limit",
			Removes: "what the session has to be told is told on every page",
			File:    "internal/guard/session/change.go",
			Old: `		r.Notice = ""
		m.put(ctx, r)
`,
			New:     "",
			Package: "./internal/guard/session",
			Kills:   []string{"TestNotice_isGivenOnceToTheSessionItWasLeftFor"},
		},
	}
}
