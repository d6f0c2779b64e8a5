"""Commands of operators: what each becomes, and what is said of one that cannot be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.commands import HOMELESS_SHARD, Forward, Pair, read_command
from siprec.inbox import CommandRefused, PauseOrdered, StartOrdered, StopOrdered
from siprec.model import CallbackMethod, StreamOrder, Track
from siprec.sids import shard_of_sid
from tests.siprec.streams import CALL_SID, STREAM_SID

ENTRY = "1700000000000-0"
SHARD = shard_of_sid(CALL_SID)


def read(**fields: str) -> Forward:
    return read_command(ENTRY, {"v": "1", **fields}.items())


def refused(*pairs: Pair) -> CommandRefused:
    """Give what is said of a command, which must be refused."""
    entry = read_command(ENTRY, pairs).entry
    assert isinstance(entry, CommandRefused)
    assert entry.text.startswith(f"command {ENTRY}: ")
    return entry


def why(**fields: str) -> str:
    """Give why a command is refused."""
    return refused(*{"v": "1", **fields}.items()).text.removeprefix(f"command {ENTRY}: ")


# What is understood


def test_start_with_nothing_else_has_the_defaults_of_the_verb() -> None:
    forward = read(command="start", call=CALL_SID)
    assert forward == Forward(
        shard=SHARD,
        request_id=ENTRY,
        entry=StartOrdered(request_id=ENTRY, call_sid=CALL_SID, order=StreamOrder()),
    )


def test_start_says_all_that_an_order_can() -> None:
    parameters = {"parameter.Agent": "Bob", "parameter.X-Queue": ""}
    entry = read(
        command="start",
        call=CALL_SID,
        name="my stream",
        connector="Second",
        track="inbound_track",
        status_callback="https://example.com/x",
        status_callback_method="GET",
        id="mine:1",
        **parameters,
    ).entry
    order = StreamOrder(
        name="my stream",
        connector_name="Second",
        track=Track.INBOUND,
        status_callback="https://example.com/x",
        status_callback_method=CallbackMethod.GET,
        parameters=(("Agent", "Bob"), ("X-Queue", "")),
    )
    assert entry == StartOrdered(request_id="mine:1", call_sid=CALL_SID, order=order)


def test_stop_by_sid_and_by_name_go_to_the_shard_of_the_call() -> None:
    by_sid = read(command="stop", stream=STREAM_SID)
    assert by_sid.entry == StopOrdered(request_id=ENTRY, stream_sid=STREAM_SID)
    by_name = read(command="stop", call=CALL_SID, name="x")
    named = StopOrdered(request_id=ENTRY, stream_sid="", call_sid=CALL_SID, name="x")
    assert by_name.entry == named
    assert by_sid.shard == by_name.shard == SHARD


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pause_and_resume_may_say_whose_voice(command: str) -> None:
    is_resumed = command == "resume"
    assert read(command=command, stream=STREAM_SID, track="outbound_track").entry == PauseOrdered(
        request_id=ENTRY, stream_sid=STREAM_SID, track=Track.OUTBOUND, is_resumed=is_resumed
    )
    entry = read(command=command, call=CALL_SID, name="x").entry
    assert isinstance(entry, PauseOrdered)
    assert (entry.track, entry.name, entry.is_resumed) == (Track.BOTH, "x", is_resumed)


# What is not


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "command: is missing"),
        ({"v": "2"}, "v: '2' is not 1, the version known here"),
        ({"command": "Start"}, "command: 'Start' is not one of start, stop, pause, resume"),
        ({"command": "start"}, "call: is missing"),
        ({"command": "start", "call": "CA1"}, "call: 'CA1' is not the sid of a call"),
        ({"command": "start", "call": STREAM_SID}, f"call: '{STREAM_SID}' is not the sid"),
        ({"command": "start", "call": CALL_SID, "stream": "x"}, "stream: is not a field of start"),
        ({"command": "start", "call": CALL_SID, "colour": "x"}, "colour: is not a field of start"),
        ({"command": "start", "call": CALL_SID, "track": "both"}, "track: 'both' is not one of"),
        ({"command": "start", "call": CALL_SID, "name": "a/b"}, "name: must not hold /"),
        ({"command": "start", "call": CALL_SID, "connector": ""}, "connector: must not be empty"),
        (
            {"command": "start", "call": CALL_SID, "status_callback": "ftp://x"},
            "status_callback: must be an http: or https: URL",
        ),
        (
            {"command": "start", "call": CALL_SID, "status_callback_method": "PUT"},
            "status_callback_method: 'PUT' is not one of GET, POST",
        ),
        ({"command": "start", "call": CALL_SID, "parameter.": "x"}, "parameter: name '' is not"),
        ({"command": "start", "call": CALL_SID, "parameter.Via": "x"}, "parameter: name 'Via' is"),
        ({"command": "start", "call": CALL_SID, "id": "a b"}, "id: 'a b' is not 1 to 64 letters"),
        ({"command": "stop"}, "stream: is missing; call and name do as well"),
        ({"command": "stop", "stream": CALL_SID}, f"stream: '{CALL_SID}' is not the sid"),
        ({"command": "stop", "stream": "SRff" + "0" * 30}, "is not the sid of a stream"),
        ({"command": "stop", "call": CALL_SID}, "name: is missing"),
        ({"command": "stop", "call": CALL_SID, "name": ""}, "name: must not be empty"),
        ({"command": "stop", "call": CALL_SID, "name": "a/b"}, "name: must not hold /"),
        ({"command": "stop", "stream": STREAM_SID, "name": "x"}, "name: must not stand beside"),
        ({"command": "stop", "stream": STREAM_SID, "call": "x"}, "call: must not stand beside"),
        ({"command": "stop", "stream": STREAM_SID, "track": "x"}, "track: is not a field of stop"),
        ({"command": "pause", "stream": STREAM_SID, "track": "x"}, "track: 'x' is not one of"),
        ({"command": "pause", "stream": STREAM_SID, "parameter.A": "x"}, "parameter.A: is not a"),
    ],
)
def test_command_that_breaks_a_rule_is_refused_by_the_name_of_its_field(
    fields: dict[str, str], text: str
) -> None:
    assert text in why(**fields)


def test_command_without_version_is_refused() -> None:
    assert refused(("command", "stop")).text.endswith("v: is missing")


def test_field_that_stands_twice_is_refused() -> None:
    twice = refused(("v", "1"), ("command", "stop"), ("stream", "a"), ("stream", "b"))
    assert twice.text.endswith("stream: stands twice")


def test_bytes_that_are_not_utf8_are_refused_and_shown_harmlessly() -> None:
    assert refused(("v", "1"), ("name", "\udcff")).text.endswith(
        "name: holds bytes that are not UTF-8"
    )
    text = refused(("\udcff" * 99, "1")).text
    assert text.isascii()
    assert len(text) < 400


def test_value_of_a_parameter_never_stands_in_what_is_said() -> None:
    parameters = {"parameter.Card": "4111\r\n1111"}
    assert "4111" not in why(command="start", call=CALL_SID, **parameters)


def test_refusal_knows_its_code_and_what_it_is_about() -> None:
    bad_track = read(command="start", call=CALL_SID, track="x")
    assert isinstance(bad_track.entry, CommandRefused)
    assert (bad_track.shard, bad_track.entry.code) == (SHARD, 31941)
    assert (bad_track.entry.call_sid, bad_track.entry.stream_sid) == (CALL_SID, "")
    parameters = {"parameter.A B": "x"}
    bad_name = read(command="start", call=CALL_SID, **parameters)
    assert isinstance(bad_name.entry, CommandRefused)
    assert bad_name.entry.code == 32111
    about_stream = read(command="pause", stream=STREAM_SID, track="x").entry
    assert isinstance(about_stream, CommandRefused)
    assert (about_stream.call_sid, about_stream.stream_sid) == (CALL_SID, STREAM_SID)
    homeless = read(command="stop", stream="SR1", call="CA1")
    assert isinstance(homeless.entry, CommandRefused)
    assert (homeless.shard, homeless.entry.call_sid) == (HOMELESS_SHARD, "")


def test_refusal_answers_to_the_id_that_was_given_unless_that_is_bad() -> None:
    assert read(command="x", id="mine").request_id == "mine"
    assert read(command="x", id="m" * 65).request_id == ENTRY
    assert read(command="x").request_id == ENTRY


NAMES = st.sampled_from(
    ["v", "command", "id", "call", "name", "stream", "track", "connector", "parameter.A"]
)
VALUES = st.sampled_from(["1", "start", "stop", "pause", CALL_SID, STREAM_SID, "x", "both_tracks"])
TEXTS = st.text(st.characters(exclude_categories=[]))


@given(st.lists(st.tuples(NAMES | TEXTS, VALUES | TEXTS)))
def test_nothing_that_an_entry_holds_raises(pairs: list[Pair]) -> None:
    forward = read_command(ENTRY, pairs)
    assert 0 <= forward.shard < 64
    assert forward.entry.request_id == forward.request_id
    if isinstance(forward.entry, CommandRefused):
        assert len(forward.entry.text) < 3000
