package main

// business removes numbers of things, one at a time.
func business() []mutant {
	return []mutant{
		{
			Control: "business-limits",
			Removes: "names are tried by beginning direct talks",
			File:    "internal/chat/service.go",
			Old: `	if err := s.limits.Invite(ctx, a); err != nil {
		return Room{}, err
	}
`,
			New:     "",
			Package: "./internal/chat",
			Kills:   []string{"TestDirect_namesThatAreTriedAreInvitations"},
		},
		{
			Control: "business-limits",
			Removes: "an account may make any number of rooms",
			File:    "internal/postgres/rooms.go",
			Old:     "WHERE (SELECT count(*) FROM rooms WHERE created_by = $1 AND visibility <> 'direct') < $6",
			New:     "WHERE (SELECT count(*) FROM rooms WHERE created_by = $1 AND visibility <> 'direct') < $6 + 1000000",
			Package: "./internal/postgres",
			Kills:   []string{"TestCreateRoom_stopsAtTheQuotaAlsoWhenAskedAtOnce"},
		},
		{
			Control: "business-limits",
			Removes: "any number of people may enter a room",
			File:    "internal/postgres/members.go",
			Old:     "FROM wanted w WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.id) < $4",
			New:     "FROM wanted w WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.id) < $4 + 1000000",
			Package: "./internal/postgres",
			Kills:   []string{"TestMembers_stopAtTheQuotaByEveryWayInAndAtOnce"},
		},
		{
			Control: "business-limits",
			Removes: "any number of people may be added to a room",
			File:    "internal/postgres/members.go",
			Old:     "WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.room_id) < $6",
			New:     "WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.room_id) < $6 + 1000000",
			Package: "./internal/postgres",
			Kills:   []string{"TestMembers_stopAtTheQuotaByEveryWayInAndAtOnce"},
		},
		{
			Control: "business-limits",
			Removes: "an account may begin any number of direct rooms",
			File:    "internal/postgres/rooms.go",
			Old:     "created_at > $5::timestamptz - interval '24 hours') < $6",
			New:     "created_at > $5::timestamptz - interval '24 hours') < $6 + 1000000",
			Package: "./internal/postgres",
			Kills:   []string{"TestDirectRoom_stopsAtTheDaysQuotaAlsoWhenAskedAtOnce"},
		},
		{
			Control: "business-limits",
			Removes: "a message may have any number of different reactions",
			File:    "internal/postgres/messages.go",
			Old:     "OR (SELECT count(DISTINCT emoji) FROM reactions WHERE message_id = $1) < $5) ON CONFLICT",
			New:     "OR (SELECT count(DISTINCT emoji) FROM reactions WHERE message_id = $1) < $5 + 1000000) ON CONFLICT",
			Package: "./internal/postgres",
			Kills:   []string{"TestReact_stopsAtSoManyDifferentEmojis"},
		},
		{
			Control: "business-limits",
			Removes: "a message may have any number of reactions, all told at each change of one",
			File:    "internal/postgres/messages.go",
			Old:     "WHERE (SELECT count(*) FROM reactions WHERE message_id = $1) < $6",
			New:     "WHERE (SELECT count(*) FROM reactions WHERE message_id = $1) < $6 + 1000000",
			Package: "./internal/postgres",
			Kills:   []string{"TestReact_stopsAtSoManyReactions"},
		},
		{
			Control: "business-limits",
			Removes: "invitations have no hour",
			File:    "internal/app/limits.go",
			Old: `	case !got.Allowed:
		return &chat.Error{Kind: chat.Quota`,
			New: `	case b.hour < 0:
		return &chat.Error{Kind: chat.Quota`,
			Package: "./internal/app",
			Kills:   []string{"TestInvite_stopsWhoeverAddsPeopleByTheHundred"},
		},
		{
			Control: "business-limits",
			Removes: "an account may store any number of bytes",
			File:    "internal/postgres/uploads.go",
			Old:     "+ $4::bigint > $5::bigint THEN 'quota'",
			New:     "+ $4::bigint > 1000000 * $5::bigint THEN 'quota'",
			Package: "./internal/postgres",
			Kills:   []string{"TestPut_holdsTheQuotaAgainstFiftyAtOnce"},
		},
	}
}
