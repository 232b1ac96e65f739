"""The studio: pages in a browser to paint live, on a canvas, and files; `runner.py` is the way in.

web thread (asyncio)      socket ─► packets of a seat            … ─► socket
a seat's decoder thread   decode ─► frames
the engine's thread       the next seat's newest frame ─► paint ─► presenter ─► fan-out
a viewer's thread         encode ─► web thread
"""
