"""For tests of wares and of what is built on it: a synthetic shop with planted truths, spoilt exports, contract suites."""
