-- +goose Up
-- PostgreSQL lets everybody call a function that is made. 00012 meant to end that, but
-- said it of one schema: such a rule can only add to what holds for all of them, so it
-- took nothing away. Said of all schemas it does, for the owner's next functions.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON FUNCTION continue_security_events() FROM PUBLIC; -- made meanwhile; a trigger runs it whoever adds the row
