"""Render camera RAW to a JPEG that its RAW can be recovered from."""
