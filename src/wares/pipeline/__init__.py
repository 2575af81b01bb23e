"""The one composer: find what is stale, build it, evaluate it, publish it."""
