"""Two layers against each other, and all of them at one exposure."""
