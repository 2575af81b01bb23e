"""Prices: what is expected of each from its own past and from comparable products, and which look wrong."""
