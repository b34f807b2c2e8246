"""What the camera wrote: reading, the CFA, LibRaw as developer, DNG."""
