"""NG commands and checked replies: exact shapes, and what is refused."""

from typing import Any

import pytest

from rtpengine_ng import messages
from rtpengine_ng.bencode import encode
from rtpengine_ng.errors import NgProtocolError
from rtpengine_ng.messages import ForkOffer, Reply, parse_calls, parse_fork_offer
from siprec.sdp import SUITES

PARTIES = ["a", "b"]
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 30000 RTP/AVP 0\r\na=label:1\r\na=sendonly\r\n"
    "m=audio 30010 RTP/AVP 0 8\r\na=label:0\r\na=sendonly\r\n"
)


def offer_reply(**changed: Any) -> Reply:
    labels: Reply = {"1": {"tag": "a", "index": 1}, "0": {"tag": "b", "index": 1}}
    reply: Reply = {
        "result": "ok",
        "sdp": SDP,
        "from-tags": ["a", "b"],
        "to-tag": "fork-1",
        "media-labels": labels,
    }
    return {key: value for key, value in {**reply, **changed}.items() if value is not None}


def test_subscribe_request_asks_for_plain_labelled_media_without_dtmf() -> None:
    assert messages.subscribe_request("c1", PARTIES, "fork-1", "dublin") == {
        "command": "subscribe request",
        "call-id": "c1",
        "from-tags": ["a", "b"],
        "to-tag": "fork-1",
        "flags": ["siprec", "strip-extmap"],
        "transport-protocol": "RTP/AVP",
        "ICE": "remove",
        "DTLS": "off",
        "rtcp-mux": ["demux"],
        "codec": {"strip": ["telephone-event"]},
        "replace": ["origin", "session-connection"],
        "interface": "dublin",
    }


def test_subscribe_request_without_interface_leaves_the_choice_to_rtpengine() -> None:
    assert "interface" not in messages.subscribe_request("c1", PARTIES, "fork-1")


@pytest.mark.parametrize("suite", SUITES)
def test_subscribe_request_with_sdes_forbids_no_suite_that_a_party_may_have(suite: str) -> None:
    command = messages.subscribe_request(
        "c1", PARTIES, "fork-1", profile=messages.SAVP, suites=[suite]
    )
    assert (command["transport-protocol"], command["DTLS"]) == ("RTP/SAVP", "off")
    assert "SDES" not in command


def test_subscribe_request_with_dtls_has_no_keys_in_the_sdp() -> None:
    command = messages.subscribe_request("c1", PARTIES, "fork-1", profile=messages.DTLS)
    assert command["transport-protocol"] == "UDP/TLS/RTP/SAVP"
    assert (command["SDES"], command["DTLS-fingerprint"]) == (["off"], "sha-256")
    assert "DTLS" not in command


@pytest.mark.parametrize(
    ("profile", "suites", "why"),
    [
        ("RTP/SAVP", [], "no suite cannot protect"),
        ("RTP/SAVP", ["NULL_HMAC_SHA1_80"], "NULL_HMAC_SHA1_80 cannot protect"),
        ("RTP/SAVP", ["AEAD_AES_128_GCM", "F8_128_HMAC_SHA1_32"], "F8_128_HMAC_SHA1_32 cannot"),
        ("RTP/SAVPF", [], "no suite cannot protect"),
        ("rtp/savp", ["AEAD_AES_128_GCM"], "'rtp/savp' is not the profile of a fork"),
    ],
)
def test_subscribe_request_with_unfit_protection_is_refused(
    profile: str, suites: list[str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        messages.subscribe_request("c1", PARTIES, "fork-1", profile=profile, suites=suites)


def test_subscribe_request_that_transcodes_strips_all_but_digits() -> None:
    command = messages.subscribe_request(
        "c1", PARTIES, "fork-1", transcode=["PCMA", "opus"], keep_digits=True
    )
    assert command["codec"] == {
        "strip": ["all"],
        "except": ["telephone-event"],
        "transcode": ["PCMA", "opus"],
    }


def test_subscribe_request_that_transcodes_without_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be without digits"):
        messages.subscribe_request("c1", PARTIES, "fork-1", transcode=["PCMA"])


def test_subscribe_request_that_keeps_digits_strips_nothing() -> None:
    assert "codec" not in messages.subscribe_request("c1", PARTIES, "fork-1", keep_digits=True)


def test_subscribe_answer_always_allows_transcoding() -> None:
    assert messages.subscribe_answer("c1", "fork-1", SDP) == {
        "command": "subscribe answer",
        "call-id": "c1",
        "to-tag": "fork-1",
        "flags": ["allow-transcoding"],
        "sdp": SDP,
    }


def test_subscribe_answer_without_m_line_is_refused() -> None:
    with pytest.raises(ValueError, match="m-line"):
        messages.subscribe_answer("c1", "fork-1", "v=0\r\ns=m=audio\r\n")


def test_delete_fork_names_the_fork_by_from_tag_only() -> None:
    assert messages.delete_fork("c1", "fork-1") == {
        "command": "delete",
        "call-id": "c1",
        "from-tag": "fork-1",
        "delete-delay": 0,
    }


def test_small_commands_have_the_words_of_ng() -> None:
    assert messages.unsubscribe("c1", "fork-1") == {
        "command": "unsubscribe",
        "call-id": "c1",
        "to-tag": "fork-1",
    }
    assert messages.query("c1", "a") == {"command": "query", "call-id": "c1", "from-tag": "a"}
    assert messages.list_calls(5) == {"command": "list", "limit": 5}
    assert messages.ping() == {"command": "ping"}
    assert messages.statistics() == {"command": "statistics"}


@pytest.mark.parametrize("tag", ["", "a", "xfork-1", "Fork-1", "fork-"])
def test_command_about_a_tag_that_is_no_fork_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="fork"):
        messages.subscribe_request("c1", PARTIES, tag)
    with pytest.raises(ValueError, match="fork"):
        messages.subscribe_answer("c1", tag, SDP)
    with pytest.raises(ValueError, match="fork"):
        messages.unsubscribe("c1", tag)
    with pytest.raises(ValueError, match="fork"):
        messages.delete_fork("c1", tag)


@pytest.mark.parametrize("tags", [[], "ab", ["a", ""], ["a", "a"], ["fork-1"], ["a", "fork-2"]])
def test_subscribe_request_for_unfit_parties_is_refused(tags: Any) -> None:
    with pytest.raises(ValueError, match=r"fork|party"):
        messages.subscribe_request("c1", tags, "fork-1")


def test_every_command_can_be_encoded() -> None:
    for command in (
        messages.subscribe_request("c1", ("a",), "fork-1", "x"),
        messages.subscribe_answer("c1", "fork-1", SDP),
        messages.unsubscribe("c1", "fork-1"),
        messages.delete_fork("c1", "fork-1"),
        messages.query("c1", "a"),
        messages.list_calls(1),
        messages.ping(),
        messages.statistics(),
    ):
        assert encode(command).startswith(b"d")


def test_parse_fork_offer_of_good_reply_maps_labels_to_parties() -> None:
    assert parse_fork_offer(offer_reply(), PARTIES) == ForkOffer(
        sdp=SDP, from_tags=("a", "b"), labels={"1": "a", "0": "b"}
    )


def test_parse_fork_offer_with_bare_line_feeds_is_accepted() -> None:
    reply = offer_reply(sdp=SDP.replace("\r\n", "\n"))
    assert parse_fork_offer(reply, PARTIES).labels == {"1": "a", "0": "b"}


def test_parse_fork_offer_ends_a_line_at_line_feed_only() -> None:
    reply = offer_reply(sdp=SDP.replace("s=-", "s=x\x85m=audio 9 RTP/AVP \u2028m=audio"))
    assert parse_fork_offer(reply, PARTIES).labels == {"1": "a", "0": "b"}


@pytest.mark.parametrize(
    "changed",
    [
        {"sdp": None},
        {"sdp": ""},
        {"sdp": ["x"]},
        {"sdp": "v=0\r\n"},
        {"sdp": SDP[: SDP.index("m=audio 30010")]},
        {"sdp": SDP.replace("AVP 0 8", "AVP ")},
        {"sdp": SDP.replace("a=label:1\r\n", "")},
        {"sdp": SDP.replace("a=label:1", "a=label:7")},
        {"sdp": SDP.replace("a=label:1", "a=label:0")},
        {"from-tags": None},
        {"from-tags": ["a"]},
        {"from-tags": ["b", "a"]},
        {"from-tags": "a"},
        {"media-labels": None},
        {"media-labels": {}},
        {"media-labels": []},
        {"media-labels": {"1": "a", "0": "b"}},
        {"media-labels": {"1": {"tag": "a"}, "0": {"tag": ["b"]}}},
        {"media-labels": {"1": {"tag": "a"}, "0": {"index": 1}}},
        {"media-labels": {"1": {"tag": "a"}, "0": {"tag": "stranger"}}},
        {"media-labels": {"1": {"tag": "a"}, "0": {"tag": "a"}}},
    ],
)
def test_parse_fork_offer_of_wrong_reply_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(NgProtocolError):
        parse_fork_offer(offer_reply(**changed), PARTIES)


def test_parse_calls_gives_call_ids() -> None:
    assert parse_calls({"result": "ok", "calls": ["x", "y"]}) == ("x", "y")


@pytest.mark.parametrize("reply", [{}, {"calls": "x"}, {"calls": [1]}])
def test_parse_calls_of_wrong_reply_is_refused(reply: Reply) -> None:
    with pytest.raises(NgProtocolError):
        parse_calls(reply)
