"""Restyles one stream: frames in, painted frames out. `stylizer.py` is the entry point."""
