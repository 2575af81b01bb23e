"""Raw exports in, governed tables out: sources, contracts, checks, quarantine, the versioned store."""
