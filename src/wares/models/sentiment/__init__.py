"""Sentiment of reviews: from a text to calibrated probabilities of its labels."""
