"""What reading and writing media have in common: colour, orientation, time, copying, publishing.

Called by `stream.sources` and `stream.sinks` only.
"""
