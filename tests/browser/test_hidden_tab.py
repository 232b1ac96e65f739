"""The live page keeps painting while another tab is in front of it."""

from pathlib import Path

import pytest
from browsers import write_camera
from devtools import Devtools, devtools
from studios import running_studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PICTURES = 60
COUNT_FRAMES = """
window.frames_shown = 0;
(function count() { requestAnimationFrame(() => { window.frames_shown += 1; count() }) })()
"""
START = "[...document.querySelectorAll('button')].find(b => b.innerText.match('Start the camera'))"
SHOWN = "document.querySelector('#chips')?.textContent.includes('fps')"


def hide(browser: Devtools, tab: str) -> None:
    """Another tab of the same window comes in front."""
    other = browser.open("about:blank")
    browser.browser("Target.activateTarget", targetId=other)
    browser.wait(tab, "document.visibilityState === 'hidden'")


def test_a_hidden_tab_keeps_its_rate(tmp_path: Path) -> None:
    """Pictures are painted by the page's worker where its window gets no animation frames."""
    write_camera(tmp_path / "camera.y4m")
    with (
        running_studio(tmp_path) as studio,
        devtools(tmp_path / "profile", tmp_path / "camera.y4m") as browser,
    ):
        tab = browser.open(f"http://127.0.0.1:{studio.port}/")
        browser.wait(tab, f"!!{START}")
        browser.evaluate(tab, f"{START}.click()")
        browser.wait(tab, SHOWN)
        browser.evaluate(tab, COUNT_FRAMES)
        hide(browser, tab)
        stats = studio.runner._studio.seats.places[-1].seat.stats
        shown = browser.evaluate(tab, "window.frames_shown")
        enough = stats.frames_out + PICTURES
        while stats.frames_out < enough:
            assert browser.evaluate(tab, "document.visibilityState") == "hidden"
        assert browser.evaluate(tab, "window.frames_shown") - shown < PICTURES / 4
