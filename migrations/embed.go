// Package migrations holds the database's history: numbered SQL files, run in order
// by postgres.DB.Migrate, forward only. A mistake is put right by the next number;
// a file that has been released is never changed. Every table and column carries a
// comment, so that the schema explains itself in psql (\d+).
package migrations

import "embed"

// FS holds the files 00001_users.sql and on.
//
//go:embed *.sql
var FS embed.FS
