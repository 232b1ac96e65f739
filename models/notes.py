"""Notes of an engine that only say how it works, where nothing was lost, raised or ignored."""

FIRST_USE = "models.first_use"
"""The logger that says, at INFO, what is prepared once when a model is first used on a machine."""


class Detail(str):
    """A sentence that only somebody who measures or looks for a fault wants to read."""

    __slots__ = ()
