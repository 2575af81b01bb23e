"""Search by words and by meaning, fused, filtered, counted."""
