"""Plan and apply: what `up` and `down` do, in their order, with a lock and an event log."""
