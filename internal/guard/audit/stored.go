package audit

// Stored is an event as a Store keeps it. IDs grow in the order in which events
// became visible: a reader who has read up to one has missed none before it.
type Stored struct {
	ID int64
	Event
}
