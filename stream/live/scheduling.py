"""Scheduling: gives a live session the schedule that its options name, and the beats of it.

--schedule take.jsonl, styles.toml     changes by the source's time, or by beats
--styles styles.toml with times        the same
"""

from pathlib import Path

from stream.clock import Clock
from stream.live.automation import Automation, read_automation
from stream.live.beat_clock import DEFAULT_TEMPO, BeatClock
from stream.live.controls import Controls
from stream.live.options import LiveOptions
from stream.live.schedule import LiveSchedule
from stream.live.styles_file import read_style_times

STYLES_SUFFIX = ".toml"


def read_schedule(path: Path) -> Automation:
    """The changes of a file: an automation, or a list of styles with times.

    Raises:
        ValueError: It cannot be read, or something in it cannot be used (and where).
    """
    if path.suffix.lower() != STYLES_SUFFIX:
        return read_automation(path)
    times = read_style_times(path)
    if times is None:
        raise ValueError(f"got automation={path}, in which no style has a time or a beat")
    return times


def schedule_beats(options: LiveOptions, controls: Controls, clock: Clock) -> BeatClock:
    """Make the controls follow the schedule of a session, if it has one.

    Returns:
        What counts its beats; the key that taps them reaches it.

    Raises:
        ValueError: As `read_schedule`.
    """
    automation: Automation | None = None
    if options.schedule is not None:
        automation = read_schedule(Path(options.schedule))
    elif options.styles is not None:
        automation = read_style_times(Path(options.styles))
    tempo = None if automation is None else automation.tempo
    beats = BeatClock(tempo or DEFAULT_TEMPO)
    controls.on_tap = lambda: beats.tap(clock.now_s())
    if automation is not None:
        changes = automation.in_seconds() if tempo is None else automation.changes
        controls.schedule = LiveSchedule(changes, None if tempo is None else beats)
    return beats
