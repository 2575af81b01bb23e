"""Serving: a bundle by memory map, an HTTP API, online events. No torch, no data engine."""
