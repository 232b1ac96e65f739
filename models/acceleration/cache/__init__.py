"""The cache folder, and digests that show damage to what is kept in it."""
