"""Arrays made from tables: the catalogue, text vectors, interactions, price history. Building files need the data
room; reading files need numpy alone."""
