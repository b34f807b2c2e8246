"""More light than a picture can show: highlights beyond saturation, brackets, tone mapping."""
