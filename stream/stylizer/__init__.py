"""Frame in, painted frames out: one style, one size, one history. `stylizer.py` is the way in."""
