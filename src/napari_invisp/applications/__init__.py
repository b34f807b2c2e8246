"""What recovered RAW is for: whether it serves as well as the original, operation by operation."""
