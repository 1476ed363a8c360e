package audit

import "time"

// Stored is an event as a Store keeps it. IDs grow in the order in which events
// became visible: a reader who has read up to one has missed none before it.
type Stored struct {
	ID int64
	Event
}

// Activity is how often a control spoke in one minute.
type Activity struct {
	Control string
	Minute  time.Time
	Events  int64
	Refused int64 // those that are more than information
}
