"""Knocks at real TCP addresses: open, refused, silent; and for how long that is known."""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from siprec_kemi.src import doors as module
from siprec_kemi.src.addresses import Address
from siprec_kemi.src.doors import FRESH_S, WITHIN_S, Doors, Knock
from siprec_kemi.src.resolver import Target
from tests.kemi.reach_world import listen, port_of, shut

OURS = Address("tcp:127.0.0.1:5070", "src.example:5070")
EDGE = Address("tcp:127.0.0.2:5070", "edge.example:5070")


class Porch:
    """Doors in a time of their own, and what they said, in order."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.now_s = 1_000.0
        self.doors = Doors(selector)
        self.said: list[str] = []
        self._selector = selector

    def knock(self, target: Target, ours: Address = OURS, *, anew: bool = False) -> None:
        self.doors.knock(target, ours, self.said.append, anew=anew)

    def until_said(self, count: int) -> list[str]:
        """Take what becomes of knocks until so much is said; give it."""
        give_up_s = time.monotonic() + 5.0
        while len(self.said) < count:
            assert time.monotonic() < give_up_s, self.said
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.data, Knock)
                self.doors.take(key.data)
        return self.said

    @property
    def knocking(self) -> int:
        """Count the connections that are being opened."""
        return len(self._selector.get_map())


@pytest.fixture
def porch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Porch]:
    with selectors.DefaultSelector() as selector:
        porch = Porch(selector)
        monkeypatch.setattr(module, "monotonic_s", lambda: porch.now_s)
        yield porch
        for key in list(selector.get_map().values()):
            assert isinstance(key.data, Knock)
            key.data.channel.close()


@pytest.fixture
def recorder() -> Iterator[socket.socket]:
    with listen() as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def silent() -> Iterator[Target]:
    """Give an address that answers nothing: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(listener.getsockname())
        yield Target("127.0.0.1", port_of(listener), "tcp")


def target_of(listener: socket.socket) -> Target:
    return Target("127.0.0.1", port_of(listener), "tcp")


def guests(listener: socket.socket) -> list[str]:
    """Give from where connections came since the last time."""
    hosts = []
    with contextlib.suppress(BlockingIOError):
        while True:
            guest, address = listener.accept()
            guest.close()
            hosts.append(address[0])
    return hosts


def test_open_door_is_told_and_the_connection_is_closed(
    porch: Porch, recorder: socket.socket
) -> None:
    porch.knock(target_of(recorder))
    assert porch.said == []
    assert porch.until_said(1) == [""]
    assert porch.knocking == 0
    guest, _ = recorder.accept()
    with guest:
        guest.settimeout(5.0)
        assert guest.recv(1) == b""
    assert porch.doors.next_due_s() is None


def test_refused_door_is_told_with_its_reason(porch: Porch) -> None:
    with shut() as closed:
        porch.knock(target_of(closed))
        assert porch.until_said(1) == [f"127.0.0.1:{port_of(closed)}: Connection refused"]
    assert porch.knocking == 0


def test_silent_door_is_given_up_in_time(porch: Porch, silent: Target) -> None:
    porch.knock(silent)
    assert porch.doors.next_due_s() == porch.now_s + WITHIN_S
    porch.now_s += WITHIN_S - 0.01
    porch.doors.care()
    assert (porch.said, porch.knocking) == ([], 1)
    porch.now_s += 0.01
    porch.doors.care()
    assert porch.said == [f"127.0.0.1:{silent.port}: no connection within 3 s"]
    assert (porch.knocking, porch.doors.next_due_s()) == (0, None)


def test_earliest_knock_tells_when_care_is_due(
    porch: Porch, silent: Target, recorder: socket.socket
) -> None:
    porch.knock(silent)
    due_s = porch.now_s + WITHIN_S
    porch.now_s += 1.0
    porch.knock(target_of(recorder))
    assert porch.doors.next_due_s() == due_s
    porch.now_s = due_s
    porch.doors.care()
    assert len(porch.said) == 1
    assert porch.until_said(2)[1] == ""


def test_open_door_is_known_for_a_while(porch: Porch, recorder: socket.socket) -> None:
    target = target_of(recorder)
    porch.knock(target)
    porch.until_said(1)
    porch.now_s += FRESH_S - 0.01
    porch.knock(target)
    assert porch.said == ["", ""]
    assert guests(recorder) == ["127.0.0.1"]
    porch.now_s += 0.01
    porch.knock(target)
    assert porch.said == ["", ""]
    porch.until_said(3)
    assert guests(recorder) == ["127.0.0.1"]


def test_door_asked_anew_is_knocked_at_again(porch: Porch, recorder: socket.socket) -> None:
    for count in (1, 2):
        porch.knock(target_of(recorder), anew=True)
        porch.until_said(count)
    assert guests(recorder) == ["127.0.0.1"] * 2


def test_door_that_closed_is_not_taken_for_open(porch: Porch, recorder: socket.socket) -> None:
    target = target_of(recorder)
    porch.knock(target)
    porch.until_said(1)
    recorder.close()
    with shut(target.port):
        porch.knock(target, anew=True)
        closed = f"127.0.0.1:{target.port}: Connection refused"
        assert porch.until_said(2)[1:] == [closed]
        # What was open a moment ago is asked again, at once.
        porch.knock(target)
        assert porch.until_said(3)[2:] == [closed]


def test_refusal_is_not_kept(porch: Porch) -> None:
    with shut() as closed:
        target = target_of(closed)
        porch.knock(target)
        porch.until_said(1)
    with listen(port=target.port):
        porch.knock(target)
        assert porch.until_said(2)[1:] == [""]


def test_questions_at_once_share_a_knock(porch: Porch, recorder: socket.socket) -> None:
    for anew in (False, True, False):
        porch.knock(target_of(recorder), anew=anew)
    assert porch.knocking == 1
    assert porch.until_said(3) == ["", "", ""]
    assert guests(recorder) == ["127.0.0.1"]


def test_each_edge_knocks_from_its_own_address(porch: Porch, recorder: socket.socket) -> None:
    porch.knock(target_of(recorder))
    porch.until_said(1)
    # What one edge may reach, a firewall may keep from another.
    porch.knock(target_of(recorder), EDGE)
    assert porch.said == [""]
    porch.until_said(2)
    assert guests(recorder) == ["127.0.0.1", "127.0.0.2"]


def test_door_of_ipv6_is_knocked_at_from_ipv6(porch: Porch) -> None:
    with listen("::1") as recorder:
        recorder.setblocking(False)
        target = Target("::1", port_of(recorder), "tcp")
        porch.knock(target, Address("tcp:[::1]:5070", "[::1]:5070"))
        assert porch.until_said(1) == [""]
        assert guests(recorder) == ["::1"]


@pytest.mark.parametrize(
    ("ip", "socket_of_ours", "why"),
    [
        ("255.255.255.255", "tcp:127.0.0.1:5070", "Network is unreachable"),
        ("127.0.0.1", "tcp:192.0.2.1:5070", "Cannot assign requested address"),
    ],
)
def test_address_that_cannot_even_be_tried_is_told_at_once(
    porch: Porch, ip: str, socket_of_ours: str, why: str
) -> None:
    porch.knock(Target(ip, 5060, "tcp"), Address(socket_of_ours, "x"))
    assert porch.said == [f"{ip}:5060: {why}"]
    assert (porch.knocking, porch.doors.next_due_s()) == (0, None)


def test_whoever_is_told_may_knock_again(porch: Porch) -> None:
    with shut() as closed:
        target = target_of(closed)

        def once_more(why: str) -> None:
            porch.said.append("first")
            porch.knock(target)

        porch.doors.knock(target, OURS, once_more)
        why = f"127.0.0.1:{target.port}: Connection refused"
        assert porch.until_said(2) == ["first", why]
