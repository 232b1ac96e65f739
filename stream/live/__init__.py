"""A live session: the newest frame wins, outputs never wait, and the look changes on the way."""
