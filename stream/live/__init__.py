"""A live session: restyles a camera or stream with low delay; the style can change meanwhile.

The newest frame wins: where the model is too slow, older frames are dropped. `runner.py` builds a
session from the options, `session.py` runs it.
"""
