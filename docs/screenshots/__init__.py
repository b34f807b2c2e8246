"""The scenes of the documentation's pictures, and the window that they are played in."""
