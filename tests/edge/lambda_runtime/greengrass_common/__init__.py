"""Stand-in for what the core's Lambda runtime provides and no package index does."""
