"""Retouching of linear light by the white-box filters of *Exposure*: by hand, fitted, learned."""
