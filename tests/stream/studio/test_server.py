"""A real server with a fake engine, and pages that are raw sockets."""

import contextlib
import http.client
import json
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fakes import LIMIT_S
from studios import (
    KEY,
    UNKNOWN,
    FakePage,
    RunningStudio,
    jpeg,
    plain,
    png,
    running_studio,
    write_clip,
)
from websockets.exceptions import ConnectionClosed

from stream.errors import ControlError
from stream.studio.protocol import AT_REST, HEADER, MESSAGES_PER_S, RECTANGLE, Close
from stream.studio.security import Role

PERSON = "person-for-the-tests-1"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with running_studio(tmp_path) as running:
        yield running


def ask(
    studio: RunningStudio, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """One request; its status, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=LIMIT_S)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    connection.close()
    return found


OWN = {"authorization": f"Bearer {KEY}", "x_person": PERSON}


def test_a_picture_comes_back_painted_under_its_own_number(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello()
    welcome = page.until("welcome")
    assert welcome["kind"] == "live" and welcome["role"] == "owner" and welcome["ready"]
    page.send_picture(7, plain((200, 20, 20)))
    painted = page.painting(lambda id_, flags: id_ == 7)
    assert painted.shape == (64, 128, 3) and painted[..., 0].mean() > painted[..., 2].mean()
    assert {"ack": 7} in page.heard
    page.close()


def test_two_pages_never_see_each_others_pictures(studio: RunningStudio) -> None:
    """Red for one and blue for the other, both as fast as they are acknowledged."""
    red, blue = FakePage(studio.port).hello(), FakePage(studio.port).hello()
    for page in (red, blue):
        page.until("welcome")
    for id_ in range(1, 40):
        red.send_picture(id_, plain((220, 10, 10)))
        blue.send_picture(id_, plain((10, 10, 220)))
        red.until("ack")
        blue.until("ack")
    red.painting(lambda id_, flags: id_ == 39)
    blue.painting(lambda id_, flags: id_ == 39)
    for page, mine, other in ((red, 0, 2), (blue, 2, 0)):
        assert page.paintings
        for _, _, data in page.paintings:
            assert data[..., mine].min() > data[..., other].max()
        page.close()


def test_each_has_a_look_of_its_own(studio: RunningStudio) -> None:
    one, other = FakePage(studio.port).hello(), FakePage(studio.port).hello()
    one.until("welcome")
    other.until("welcome")
    one.say(set={"prompt": "neon", "strength": 0.9}, n=3)
    while (answer := one.next()) is None or answer.get("n") != 3:
        pass
    assert answer["look"]["prompt"] == "neon" and answer["look"]["strength"] == 0.9
    other.say(set={"seed": 5}, n=1)
    while (answer := other.next()) is None or answer.get("n") != 1:
        pass
    assert answer["look"]["seed"] == 5 and answer["look"]["strength"] != 0.9
    for wrong in ({"strength": 7}, {"nonsense": 1}, {"prompt": "x" * 501}, {"steps": "two"}):
        one.say(set=wrong, n=4)
        assert one.until("error")
    one.close()
    other.close()


def test_a_canvas_is_painted_to_its_last_patch(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello("canvas", size=[640, 640])
    assert page.until("welcome")["size"] == [640, 640]
    for id_ in range(1, 12):
        page.send_patch(id_, plain((10, 10, 200), (64, 64)), (8 * id_, 0))
        page.until("ack")
    painted = page.painting(lambda id_, flags: id_ == 11 and flags & AT_REST)
    assert painted[:64, 8:152, 2].mean() > painted[300:, :, 2].mean() - 120
    page.say(photo=True)
    page.say(timelapse=True)
    made = page.until("timelapse")
    status, body, headers = ask(studio, "GET", made["download"])
    assert status == 200 and "attachment" in headers["content-disposition"]
    assert made["frames"] > 0 and len(body) > 100
    page.close()


def test_a_seat_is_taken_up_again_after_the_socket_was_lost(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello()
    seat = page.until("welcome")["seat"]
    page.say(set={"prompt": "charcoal"}, n=1)
    page.until("n")
    page.socket.socket.shutdown(socket.SHUT_RDWR)
    again = FakePage(studio.port).hello(resume=seat)
    welcome = again.until("welcome")
    assert welcome["seat"] == seat and welcome["look"]["prompt"] == "charcoal"
    last = FakePage(studio.port).hello(resume=seat)
    last.until("welcome")
    assert again.close_code() == Close.ELSEWHERE
    last.close()


def test_a_third_person_waits_and_is_seated_when_one_leaves(studio: RunningStudio) -> None:
    pages = [FakePage(studio.port).hello() for _ in range(3)]
    for page in pages[:2]:
        page.until("welcome")
    assert pages[2].until("busy") == {"place": 1, "seats": 2}
    pages[2].send_picture(1, plain((1, 1, 1)))  # who has no seat is not painted, nor cut off
    pages[2].say(set={"seed": 1}, n=1)
    assert pages[0].until("stats")["seats"]["waiting"] == 1
    for page in pages:
        page.close()


def test_wrong_keys_and_roles(studio: RunningStudio) -> None:
    keys = {role: studio.runner._studio.keys.of(role) for role in Role}
    page = FakePage(studio.port).hello(key="wrong")
    assert page.close_code() == Close.KEY
    watcher = FakePage(studio.port).hello(key=keys[Role.WATCHER])
    assert watcher.close_code() == Close.KEY
    guest = FakePage(studio.port).hello(key=keys[Role.GUEST])
    assert guest.until("welcome")["role"] == "guest"
    guest.say(output="virtualcam", on=True)
    assert guest.close_code() == Close.KEY


def test_watchers_see_the_stage_and_nothing_before(studio: RunningStudio) -> None:
    owner = FakePage(studio.port).hello()
    owner.until("welcome")
    owner.send_picture(1, plain((200, 0, 0)))
    owner.painting()
    watcher = FakePage(studio.port).hello("watch", key=studio.runner._studio.keys.of(Role.WATCHER))
    watcher.until("watching")
    assert not watcher.paintings
    owner.say(stage=True)
    assert watcher.painting().shape == (64, 128, 3)
    watcher.say(ack=1)
    watcher.send_picture(1, plain((0, 0, 0)))
    assert watcher.close_code() == Close.BAD_MESSAGE
    owner.close()


def test_a_recording_is_kept_and_fetched_in_parts(studio: RunningStudio, tmp_path: Path) -> None:
    page = FakePage(studio.port).hello()
    page.until("welcome")
    page.say(record=True)
    assert page.until("output") == "recording"
    for id_ in range(1, 20):
        page.send_picture(id_, plain((10 * id_, 60, 60)))
        page.painting(lambda painted, flags, id_=id_: painted == id_)
    page.say(record=False)
    link = page.until("download")
    status, body, _ = ask(studio, "GET", link)
    assert status == 200
    (tmp_path / "got.mp4").write_bytes(body)
    with av.open(str(tmp_path / "got.mp4")) as video:
        frames = list(video.decode(video=0))
    assert len(frames) >= 10 and frames[0].time == 0
    status, part, _ = ask(studio, "GET", link, range="bytes=10-19")
    assert (status, part) == (206, body[10:20])
    page.close()


def test_an_output_that_cannot_be_had_is_one_sentence(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello()
    page.until("welcome")
    for asked in ({"output": "stream", "address": "file:///etc/x"}, {"output": "nonsense"}):
        page.say(**asked, on=True)
        assert "expected" in page.until("error")
    page.close()


def malformed(random_: random.Random) -> Any:
    """One message that no page of ours would send."""
    good = HEADER.pack(1, 0, 0, 1, 0) + jpeg(plain((5, 5, 5)))
    patch = HEADER.pack(3, 0, 8, 1, 0) + RECTANGLE.pack(0, 0, 128, 64) + png(plain((5, 5, 5)))
    return random_.choice(
        [
            random_.randbytes(random_.randrange(200)),
            good[: random_.randrange(300)],
            patch,
            HEADER.pack(random_.randrange(256), 0, random_.randrange(1, 9), 1, 0) + good[16:],
            "".join(chr(random_.randrange(32, 1000)) for _ in range(random_.randrange(60))),
            json.dumps(random_.choice([[], 5, None, {}, {"nothing": 1}, {"set": 1}, {"set": [1]}])),
            json.dumps({"set": {"seed": 1}, "photo": True}),
            "[" * 5000,
            "x" * 20_000,
        ]
    )


@pytest.mark.timeout(400)
def test_three_hundred_malformed_messages_harm_nobody(studio: RunningStudio) -> None:
    neighbour = FakePage(studio.port).hello()
    neighbour.until("welcome")
    random_ = random.Random(0)
    codes, seat = set(), ""
    for index in range(300):
        page = FakePage(studio.port)
        if index % 2:
            seat = page.hello(resume=seat).until("welcome")["seat"]
        page.socket.send(malformed(random_))
        codes.add(page.close_code())
    assert codes <= {code.value for code in Close} and Close.BAD_MESSAGE in codes
    neighbour.send_picture(1, plain((200, 0, 0)))
    neighbour.painting(lambda id_, flags: id_ == 1)
    neighbour.close()
    assert len(studio.runner._studio.seats.places) <= 2


def test_messages_that_are_too_large_or_too_many(studio: RunningStudio) -> None:
    page = FakePage(studio.port, max_size=None).hello()
    page.until("welcome")
    with contextlib.suppress(ConnectionClosed):
        page.socket.send(bytes(5 * 1024 * 1024))
    assert page.close_code() in (Close.TOO_BIG, UNKNOWN)  # cut off while it still sends
    page = FakePage(studio.port).hello()
    page.until("welcome")
    with contextlib.suppress(ConnectionClosed):
        for _ in range(20 * MESSAGES_PER_S):
            page.say(ack=1)
    assert page.close_code() == Close.TOO_FAST


def test_a_picture_larger_than_it_may_be_is_not_decoded(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello()
    page.until("welcome")
    page.send_picture(1, plain((0, 0, 0), (2049, 16)))
    assert page.close_code() == Close.TOO_BIG


def test_pages_and_headers(studio: RunningStudio) -> None:
    status, body, headers = ask(studio, "GET", "/")
    assert status == 200 and KEY.encode() in body
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "set-cookie" not in headers and "access-control-allow-origin" not in headers
    watched = ask(studio, "GET", "/obs")[1]
    assert KEY.encode() not in watched
    assert ask(studio, "GET", "/pages/main.js")[2]["content-type"].startswith("text/javascript")
    for path in ("/pages/../web.py", "/pages/%2e%2e/web.py", "/pages/", "/d/nothing", "/nothing"):
        assert ask(studio, "GET", path)[0] == 404
    assert ask(studio, "GET", "/", host="evil.test")[0] == 421


def test_no_page_names_anything_elsewhere() -> None:
    """No request leaves the machine: no address of another place is in any page."""
    pages = Path(__file__).parents[3] / "stream" / "studio" / "pages"
    for path in [*pages.glob("*.js"), *pages.glob("*.html"), *pages.glob("*.css")]:
        found = set(
            re.findall(r"(?:https?|wss?):(?://)?[a-z0-9][^\s\"'<]*", path.read_text("utf-8"))
        )
        assert found <= {"http://www.w3.org/2000/svg"}, path.name


def test_dropped_files_need_the_key_and_a_person(studio: RunningStudio) -> None:
    assert ask(studio, "GET", "/api/jobs")[0] == 401
    assert ask(studio, "GET", "/api/jobs", authorization="Bearer wrong", x_person=PERSON)[0] == 401
    assert ask(studio, "GET", "/api/jobs", authorization=f"Bearer {KEY}")[0] == 400
    assert ask(studio, "GET", "/api/jobs", **OWN)[:2] == (200, b"[]")
    assert ask(studio, "PUT", "/api/jobs?name=a.mp4", b"x")[0] == 401
    assert ask(studio, "DELETE", "/api/jobs/nothing", **OWN)[0] == 404
    wrong = "/api/jobs?name=a.mp4&look=%7B%22strength%22%3A9%7D"
    assert ask(studio, "PUT", wrong, b"x", **OWN)[0] == 400


def test_an_upload_that_is_too_large_is_refused_before_its_first_byte(
    studio: RunningStudio,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=LIMIT_S)
    connection.putrequest("PUT", "/api/jobs?name=a.mp4")
    for name, value in {**OWN, "content-length": str(3 * 1024**3)}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_broken_upload_is_said_and_harms_nothing(studio: RunningStudio, tmp_path: Path) -> None:
    name = "..%2F..%2Fevil%00.mp4"
    status, body, _ = ask(studio, "PUT", f"/api/jobs?name={name}", b"rubbish" * 100, **OWN)
    job = json.loads(body)
    assert status == 201 and job["name"] == "evil.mp4"
    write_clip(tmp_path / "good.mp4", 5)
    good = (tmp_path / "good.mp4").read_bytes()
    assert ask(studio, "PUT", "/api/jobs?name=good.mp4", good, **OWN)[0] == 201
    other = {**OWN, "x_person": "somebody-else-entirely"}
    assert ask(studio, "GET", "/api/jobs", **other)[1] == b"[]"
    for reader in list(studio.runner._studio.jobs._readers):
        reader._thread.join(LIMIT_S * 4)
    jobs = json.loads(ask(studio, "GET", "/api/jobs", **OWN)[1])
    assert jobs[0]["state"] == "failed" and "check that it plays" in jobs[0]["problem"]
    assert str(tmp_path) not in jobs[0]["problem"]
    assert jobs[1]["state"] != "failed", jobs[1]["problem"]
    assert jobs[1]["frames"] == 5
    assert ask(studio, "GET", jobs[1]["poster"])[0] == 200
    assert ask(studio, "DELETE", f"/api/jobs/{jobs[1]['id']}", **OWN)[0] == 204
    assert ask(studio, "GET", jobs[1]["poster"])[0] == 404


def test_a_port_that_is_taken_is_one_sentence(studio: RunningStudio, tmp_path: Path) -> None:
    with (
        pytest.raises(ControlError, match="--port"),
        running_studio(tmp_path / "second", port=studio.port),
    ):
        pass


def test_with_require_key_the_page_brings_none(tmp_path: Path) -> None:
    with running_studio(tmp_path, require_key=True) as studio:
        assert KEY.encode() not in ask(studio, "GET", "/")[1]
        assert studio.addresses[Role.OWNER].endswith(f"#key={KEY}")


def test_the_end_is_quick_keeps_recordings_and_says_good_bye(tmp_path: Path) -> None:
    with running_studio(tmp_path) as studio:
        page = FakePage(studio.port).hello()
        page.until("welcome")
        page.say(record=True)
        for id_ in range(1, 8):
            page.send_picture(id_, plain((10 * id_, 0, 0)))
            page.painting(lambda painted, flags, id_=id_: painted == id_)
        assert {"output": "recording", "on": True} in page.heard
        studio.runner.stop()
        assert page.close_code() == Close.RESTART
    (kept,) = (tmp_path / "studio" / "recordings").glob("*.mp4")
    with av.open(str(kept)) as video:
        assert len(list(video.decode(video=0))) >= 1
    assert not list((tmp_path / "studio").glob("files/*"))


def test_the_server_speaks_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    import ssl

    with running_studio(tmp_path, tls="self") as studio:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", studio.port, timeout=LIMIT_S, context=context
        )
        connection.request("GET", "/api/info")
        assert connection.getresponse().status == 200
        connection.close()
        assert studio.addresses[Role.OWNER].startswith("https://")


def test_pictures_of_another_shape_are_fitted(studio: RunningStudio) -> None:
    page = FakePage(studio.port).hello()
    page.until("welcome")
    page.send_picture(1, plain((200, 0, 0), (64, 128)))
    assert page.painting().shape == (64, 128, 3)
    assert isinstance(page.paintings[0][2], np.ndarray)
    page.close()
