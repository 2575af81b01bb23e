"""Models: each room fits in training files and answers from `infer.py`, which imports neither torch nor scipy."""
