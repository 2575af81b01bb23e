"""Nouns, column names, errors, configuration, clock: what every room shares and nothing more."""
