"""Answers that look odd and are right record; those that are wrong end in one clear alert.

What is right is said here, by the RFCs alone, and not by what checks answers in the product.
"""

import re
from collections.abc import Callable, Iterator
from random import Random

import pytest

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamOrder, StreamState, Track
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.mutant_srs import CASE_HEADER, MutantSrs
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message

pytestmark = pytest.mark.daemon

SDP = "application/sdp"
OVER = (StreamState.FAILED, StreamState.RECORDING)
BAD_ANSWER, BAD_PROTECTION = 32102, 32207

Write = Callable[[str], tuple[str, str]]


def edited(old: str, new: str) -> Write:
    """Answer with SDP in which a pattern was replaced; it must be there."""

    def write(sdp: str) -> tuple[str, str]:
        changed, count = re.subn(old, new, sdp, flags=re.MULTILINE)
        assert count, f"{old!r} is not in {sdp!r}"
        return SDP, changed

    return write


def turned(sdp: str) -> tuple[str, str]:
    """Turn the order of the attributes of each m-line round."""
    head, *blocks = re.split(r"(?=^m=)", sdp, flags=re.MULTILINE)
    lines = [block.splitlines(keepends=True) for block in blocks]
    return SDP, head + "".join("".join([first, *rest[::-1]]) for first, *rest in lines)


def connection_below(sdp: str) -> tuple[str, str]:
    """Write c= in each m-line, and not above."""
    connection = re.search(r"^c=.*\r\n", sdp, re.MULTILINE)
    assert connection is not None
    head, *blocks = re.split(r"(?=^m=)", sdp.replace(connection[0], ""), flags=re.MULTILINE)
    return SDP, head + "".join(b.replace("\r\n", f"\r\n{connection[0]}", 1) for b in blocks)


def parted(*parts: str, head: str = "", tail: str = "", boundary: str = "b") -> Write:
    """Answer with a multipart body; `@` in a part is the answer."""

    def write(sdp: str) -> tuple[str, str]:
        body = "".join(f"--b\r\n{part.replace('@', sdp)}\r\n" for part in parts)
        return f"multipart/mixed;boundary={boundary}", f"{head}{body}--b--\r\n{tail}"

    return write


_PART = "Content-Type: application/sdp\r\n\r\n@"
_OTHER = "Content-Type: text/plain\r\nContent-Disposition: render\r\n\r\nhello"

RIGHT: dict[str, Write] = {
    "line_feeds_alone": edited("\r\n", "\n"),
    "unknown_attributes": edited(r"^a=recvonly\r\n", "a=recvonly\r\na=x-flag\r\na=x-more:1 2\r\n"),
    "unknown_session_attributes": edited(r"^t=0 0\r\n", "t=0 0\r\na=tool:odd 1.0\r\na=x:y\r\n"),
    "information_and_contacts": edited(
        r"^s=-\r\n", "s=-\r\ni=about\r\nu=http://srs.example/\r\ne=a@srs.example\r\np=+1 555\r\n"
    ),
    "bandwidth": edited(r"^t=0 0\r\n", "b=AS:128\r\nt=0 0\r\n"),
    "session_without_a_name": edited(r"^s=-", "s= "),
    "large_numbers": edited(r"^o=mutant 1 1", "o=mutant 18446744073709551615 4294967296"),
    "attributes_turned_round": turned,
    "connection_in_each_line": connection_below,
    "codec_in_small_letters": edited("PCMA/8000", "pcma/8000"),
    "codec_with_its_channels": edited("PCMA/8000", "PCMA/8000/1"),
    "static_types_without_rtpmap": edited(r"^a=rtpmap:8 .*\r\n", ""),
    "formats_nobody_offered": edited(r"^(m=audio .*?)\r\n", r"\1 97\r\na=rtpmap:97 iLBC/8000\r\n"),
    "packet_times": edited(r"^a=recvonly", "a=ptime:20\r\na=maxptime:60\r\na=recvonly"),
    "direction_above": edited(r"(^t=0 0\r\n)|(^a=recvonly\r\n)", r"\1"),
    "sends_too": edited(r"^a=recvonly", "a=sendrecv"),
    "type_in_large_letters": lambda sdp: ("Application/SDP", sdp),
    "type_with_a_parameter": lambda sdp: ("application/sdp; charset=utf-8", sdp),
    "one_part": parted(_PART),
    "second_part": parted(_OTHER, _PART),
    "preamble_and_epilogue": parted(_PART, _OTHER, head="before\r\n", tail="after\r\n"),
    "boundary_in_quotes": parted(_PART, boundary='"b"'),
    "part_in_large_letters": parted("CONTENT-TYPE: Application/SDP\r\n\r\n@", _OTHER),
}
SECURE_RIGHT: dict[str, Write] = {
    "lifetime_of_the_key": edited(r"^(a=crypto:[^\r]*)", r"\1|2^31"),
    "window_of_replays": edited(r"^(a=crypto:[^\r]*)", r"\1 WSH=128"),
}
WRONG: dict[str, Write] = {
    "no_body": lambda sdp: (SDP, ""),
    "no_media": lambda sdp: (SDP, sdp[: sdp.index("m=")]),
    "another_kind": edited("^m=audio", "m=video"),
    "another_codec": edited(r"^(m=audio \d+ \S+) .*\r\n(a=rtpmap.*\r\n)*", r"\1 18\r\n"),
    "port_too_large": edited(r"^m=audio \d+", "m=audio 70000"),
    "all_refused": edited(r"^m=audio \d+", "m=audio 0"),
    "a_line_too_many": lambda sdp: (SDP, sdp + sdp[sdp.rindex("m=") :]),
    "no_address": edited(r"^c=.*\r\n", ""),
    "name_for_an_address": edited(r"^c=.*", "c=IN IP4 srs.example\r"),
    "address_of_many": edited(r"^c=.*", "c=IN IP4 224.2.1.1/127\r"),
    "address_of_all": edited(r"^c=.*", "c=IN IP4 255.255.255.255\r"),
    "another_family": edited(r"^c=.*", "c=IN IP6 2001:db8::1\r"),
    "no_sdp_at_all": lambda sdp: (SDP, "hello"),
    "parts_without_sdp": parted(_OTHER),
    "body_of_another_type": lambda sdp: ("text/plain", sdp),
}
SECURE_WRONG: dict[str, Write] = {
    "in_the_clear": edited(" RTP/SAVP ", " RTP/AVP "),
    "without_a_key": edited(r"^a=crypto:.*\r\n", ""),
    "with_two_keys": edited(r"^(a=crypto:.*\r\n)", r"\1\1"),
    "suite_of_its_own": edited("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"),
    "tag_of_its_own": edited(r"^a=crypto:\d+", "a=crypto:99"),
    "short_key": edited(r"inline:....", "inline:"),
    "not_encrypted": edited(r"^(a=crypto:[^\r]*)", r"\1 UNENCRYPTED_SRTP"),
}
PLAIN_CASES, SECURE_CASES = RIGHT | WRONG, RIGHT | SECURE_RIGHT | WRONG | SECURE_WRONG
# Not what is said of protection: the answer is wrong before that.
IS_OF_PROTECTION = SECURE_WRONG.keys()


class OddSrs(MutantSrs):
    """Answers as the case in the header of an INVITE says."""

    def _written(self, invite: Message, rng: Random, good: str) -> tuple[str, bytes]:
        media_type, body = SECURE_CASES[invite.one(CASE_HEADER)](good)
        return media_type, body.encode()


@pytest.fixture
def odd() -> Iterator[OddSrs]:
    with OddSrs(0) as odd:
        yield odd


def begin(stage: ManySrsStage, call_sid: str, start: str, case: str) -> str:
    """Start a stream that is answered so; give its sid."""
    name = start.split('connectorName="')[1].split('"')[0]
    # One track each: there is room for all at once.
    order = StreamOrder(connector_name=name, track=Track.INBOUND, parameters=((CASE_HEADER, case),))
    verdict = stage.stack.store.orders.start(call_sid, order)
    assert verdict.stream_sid, verdict
    return verdict.stream_sid


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "secure"])
def test_odd_answer_records_and_wrong_answer_ends_in_one_alert(
    many_srs_stage: ManySrsStage, odd: OddSrs, is_secure: bool
) -> None:
    stage, store = many_srs_stage, many_srs_stage.stack.store
    uri = f"{odd.uri};secure=true" if is_secure else odd.uri
    options = ["--options-s", "0", "--failures", "100", *(["--keys-in-clear"] * is_secure)]
    start = stage.connect(uri, options=options)
    cases = SECURE_CASES if is_secure else PLAIN_CASES
    with stage.spoken_call() as spoken:
        call_sid = stage.wait_call(spoken.caller).sid
        sids = {case: begin(stage, call_sid, start, case) for case in cases}

        def settled() -> dict[str, Stream]:
            found = {case: store.stream(sid) for case, sid in sids.items()}
            return {case: s for case, s in found.items() if s is not None and s.state in OVER}

        poll(lambda: settled().keys() == sids.keys(), why=lambda: f"{sids.keys() - settled()}")
        streams = settled()
        spoken.talking.go_on()
    right = RIGHT | SECURE_RIGHT
    recorded = {case for case, s in streams.items() if s.state is StreamState.RECORDING}
    assert sorted(recorded ^ {case for case in cases if case in right}) == []
    alerts = store.alerts(5 * len(cases))
    for case, stream in streams.items():
        told = [alert for alert in alerts if alert.stream_sid == stream.sid]
        if case in right:
            assert told == [], case
            continue
        code = BAD_PROTECTION if case in IS_OF_PROTECTION else BAD_ANSWER
        assert [(a.code, a.level) for a in told] == [(code, AlertLevel.ERROR)], (case, told)
        assert odd.uri in told[0].text
        assert stream.error_code == code
    assert odd.strange == []
    assert odd.clear_packets == 0
