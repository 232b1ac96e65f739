"""Performance: what a file job asks of a schedule of changes. A protocol; it reads no file.

Recorded ones are read by `stream.live.automation`. Implemented by
`stream.live.performed_stylizer.RecordedPerformance`.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from stream.stylizer.stylizer import Stylizer


class Performance(Protocol):
    """Changes of the look over the time of a film. A dataclass that can be pickled: workers get it,
    and its fields are part of what decides a job's bytes.
    """

    def make_stylizer(self, *args: Any, **options: Any) -> "Stylizer":
        """A stylizer of one stream that follows it; takes what `Stylizer` takes."""

    def closed(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Stretches of time, in seconds, in which a picture depends on those before it."""
