"""Recommendation: collaborative item-item weights, text neighbours, repeat purchase and popularity, blended."""
