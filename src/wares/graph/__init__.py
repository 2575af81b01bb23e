"""The knowledge graph: entities and relations of a shop, what they say about likeness, and why."""
