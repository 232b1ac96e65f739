"""A page of a real Chromium behind a link that is short of room goes over to H.264, both ways."""

from pathlib import Path

import numpy as np
import pytest
from browsers import Tab, chromium, write_camera
from slow_link import slow_link
from studios import running_studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PLENTY, SCARCE = 50e6, 60e3
FIGURES = "window.studio.live.figures"
GROUND = (60, 120, 200)


def test_pictures_travel_as_h264_on_a_slow_link(tmp_path: Path) -> None:
    write_camera(tmp_path / "camera.y4m")
    with (
        running_studio(tmp_path) as studio,
        chromium(tmp_path / "camera.y4m") as browser,
        slow_link(studio.port, PLENTY) as link,
    ):
        tab = Tab(browser)
        tab.page.goto(f"http://127.0.0.1:{link.port}/")
        tab.page.get_by_text("Start the camera").click()
        tab.wait(f"{FIGURES}.fps > 0")
        assert tab.page.evaluate(f"[{FIGURES}.sends, {FIGURES}.gets]") == ["jpeg", "jpeg"]
        link.bits_per_s = SCARCE
        tab.wait(f"{FIGURES}.sends === 'h264' && {FIGURES}.gets === 'h264'")
        assert "H.264" in tab.page.locator(".chip").nth(1).get_attribute("title")
        seat = studio.runner._studio.seats.places[-1].seat
        enough = seat.stats.frames_out + 24
        while seat.stats.frames_out < enough:
            tab.page.evaluate("0")
        # the camera's colours have come through
        assert np.abs(seat._newest.data[2, 2].astype(int) - GROUND).max() < 20
        shown = tab.page.evaluate(f"{FIGURES}.fps")
        assert shown > 0
        tab.close()
