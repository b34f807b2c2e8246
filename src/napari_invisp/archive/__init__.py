"""Keeping RAW."""
