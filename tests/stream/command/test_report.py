"""The final report and the progress line, on consoles that keep what they are told."""

import io
import json

from rich.console import Console

from models import Detail
from stream.command.progress import FrameProgress
from stream.command.report import as_json, headline, print_report
from stream.offline.jobs import Job, Outcome
from stream.stats import Stats


def made_stats(fps_target: float | None = 24.0) -> Stats:
    """Three frames in, two out, a tenth of a second apart."""
    stats = Stats(fps_target=fps_target)
    for index in range(3):
        stats.count_in(index / 10)
    for index in range(2):
        stats.count_out(index / 10, 0.1 + index / 10)
        stats.record("denoise", 0.02)
    stats.count_dropped("interrupted")
    stats.note("Copied bit for bit: audio #1 (aac, [b]deu[/b]).")
    return stats


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_person_gets_one_line_and_what_was_lost() -> None:
    paper, stats = console(terminal=False), made_stats(None)
    stats.note("The sound ends early.", Detail("runs on a CPU"))
    print_report(paper, Outcome(Job("a.mp4", "b.mp4"), stats))
    line, note = text_of(paper).splitlines()
    assert line == "b.mp4: 2 frames in 0.2 s, 10.0 fps, 1 dropped (1 interrupted), sound kept"
    assert note == "  note: The sound ends early."


def test_the_full_report_shows_frames_speed_stages_and_notes() -> None:
    paper = console(terminal=False)
    print_report(paper, Outcome(Job("a.mp4", "b.mp4"), made_stats(12)), full=True)
    text = text_of(paper)
    assert "b.mp4: 2 frames in 0.2 s, 10.0 fps (target 12: not reached)" in text
    assert "3 in, 2 out, 1 dropped (1 interrupted)" in text
    assert "10.0 fps (target 12: not reached)" in text
    assert "denoise    20.0  20.0  20.0" in text
    assert "note: Copied bit for bit: audio #1 (aac, [b]deu[/b])." in text


def test_the_headline_of_an_interrupted_run_says_how_far_it_got() -> None:
    job = Job("a.mp4", "b.mp4")
    told = headline(Outcome(job, made_stats(), frames_expected=90, interrupted=True))
    assert told == "a.mp4: stopped after 2 of 90 frames; b.mp4 holds what was done"
    told = headline(Outcome(job, Stats(), interrupted=True))
    assert told == "a.mp4: stopped after 0 frames; nothing was written"


def test_json_is_an_object_for_one_input_and_a_list_for_several() -> None:
    outcome = Outcome(Job("a.mp4", "b.mp4"), made_stats(), damaged=True)
    one, several = json.loads(as_json([outcome])), json.loads(as_json([outcome, outcome]))
    assert one["input"] == "a.mp4"
    assert one["damaged"] is True
    assert several == [one, one]


def test_progress_shows_frames_and_speed_on_a_terminal() -> None:
    screen = console(terminal=True)
    with FrameProgress(screen, "[clip].mp4", 4, quiet=False) as progress:
        for _ in range(4):
            progress.advance()
    text = text_of(screen)
    assert "[clip].mp4" in text
    assert "4/4" in text
    assert "fps" in text


def test_progress_is_silent_where_there_is_no_terminal_or_no_wish() -> None:
    for paper, quiet in ((console(terminal=False), False), (console(terminal=True), True)):
        with FrameProgress(paper, "clip.mp4", 4, quiet=quiet) as progress:
            progress.advance()
        assert text_of(paper).strip() == ""
