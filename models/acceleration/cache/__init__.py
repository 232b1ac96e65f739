"""The cache folder for compiled models, and checksums that reveal damaged files in it."""
