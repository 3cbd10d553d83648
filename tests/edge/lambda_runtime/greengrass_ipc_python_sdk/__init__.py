"""Stand-in for the core's client of its own daemon."""
