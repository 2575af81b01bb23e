"""Similar products: nearest by text and by behaviour, mixed by weights that the caller may set."""
