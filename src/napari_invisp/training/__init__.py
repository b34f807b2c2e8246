"""Learning: prepared pictures, patches of them, what each model learns from those, the trainer."""
