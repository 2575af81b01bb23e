"""How good it is: splits, metrics with intervals, reports."""
