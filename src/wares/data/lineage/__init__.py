"""Column lineage: derived from expressions, mappings and reads; carried with the data into the commit."""
