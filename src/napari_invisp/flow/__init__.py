"""Invertible models that render network RAW as sRGB and take it back, and their weights."""
