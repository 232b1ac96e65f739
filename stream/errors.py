"""What can go wrong with frames in time.

    StreamError
    ├── SourceError   an input cannot be opened, read or understood
    ├── SinkError     an output cannot be created or written
    ├── CapacityError a machine has no room for another live stream
    ├── ClusterError  a cluster is out of reach
    ├── ControlError  a way to control a session cannot be opened
    └── Closed        a channel was closed while somebody waited on it

Argument mistakes are ``ValueError``/``TypeError``. Every message is one sentence that names the
thing and says what to do next.
"""


class StreamError(Exception):
    """Base of everything that `stream` raises about the outside world."""


class SourceError(StreamError):
    """An input cannot be opened, read or understood."""


class SinkError(StreamError):
    """An output cannot be created or written."""


class ControlError(StreamError):
    """A way to control a session cannot be opened."""


class CapacityError(StreamError):
    """A machine has no room for another live stream."""


class ClusterError(StreamError):
    """A cluster is out of reach, or none of its workers can do what is asked."""


class Closed(StreamError):
    """The channel is closed and has nothing left to give."""
