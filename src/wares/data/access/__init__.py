"""Access: policies from contracts, tags and settings; the one read door; shares."""
