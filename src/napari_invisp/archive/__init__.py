"""What a JPEG carries beside the picture: side information, or a bit-exact archive of its RAW."""
