"""What a JPEG kept of the RAW, made visible: error maps, statistics, reports. Free of Qt."""
