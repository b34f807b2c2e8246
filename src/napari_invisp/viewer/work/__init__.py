"""What runs beside the window, and what it paints meanwhile."""
