"""Fusion: several catalogues of the same goods become one, with confidence, evidence and a way back."""
