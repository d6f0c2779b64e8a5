"""Requests inside a call: relayed on paths of ours, and reported once they are answered."""

import pytest

from siprec.inbox import ByeAnswered, CallChanged
from siprec.settings import AwarenessSettings, OnSessionId, RedisSettings, Settings
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.dialogs import Dialogs
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.route_parameter import Path, make_parameter
from siprec_kemi.proxy.session_ids import SessionIds
from tests.kemi.outboxes import OpenOutbox
from tests.kemi.strict_ksr import StrictKsr

KEY = b"key"
REDIS = RedisSettings(url="redis://127.0.0.1:1", prefix="p:")
SHARD = 0x2A
CALL_SID = "CA2a" + "0" * 30
PARAMETER = make_parameter(KEY, "a@b", "from", Path(CALL_SID, 1))


@pytest.fixture
def dialogs(outbox: OpenOutbox, ksr: StrictKsr) -> Dialogs:
    ksr.variables |= {
        "$ci": "a@b",
        "$ft": "from",
        "$tt": "to",
        "$hdr(Route)": f"<sip:192.0.2.1;lr{PARAMETER}>",
    }
    ksr.returns |= {"nathelper.nat_uac_test": -1, "textops.has_body_type": -1}
    ksr.returns |= {"textops.has_body": -1, "htable.sht_get": None}
    media = Media(["127.0.0.1:1", "127.0.0.1:2"])
    reports = Reports(outbox, REDIS, Breaker())
    awareness = Awareness(AwarenessSettings(), REDIS, Breaker(), reports.order)
    ids = SessionIds(KEY, OnSessionId.PASS)
    return Dialogs(KEY, media, reports, awareness, ids, Policy(Settings()))


def give_sdp(ksr: StrictKsr) -> None:
    ksr.returns["textops.has_body_type"] = 1


def exchanged(ksr: StrictKsr) -> list[tuple[str, str]]:
    prefix = "rtpengine.rtpengine_"
    calls = [(name.removeprefix(prefix), args) for name, args in ksr.calls if prefix in name]
    return [(name, str(args[0])) for name, args in calls if name in ("offer", "answer")]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "BYE", "INFO", "PRACK", "REFER", "ACK"])
def test_request_on_a_path_of_ours_is_relayed(
    dialogs: Dialogs, ksr: StrictKsr, method: str
) -> None:
    dialogs.request(method)
    assert len(ksr.named("tm.t_relay")) == 1
    assert len(ksr.named("tm.t_newtran")) == (method != "ACK")
    assert not exchanged(ksr)


@pytest.mark.parametrize(
    ("method", "answers"), [("BYE", [(403, "Not a Dialog of This Proxy")]), ("ACK", [])]
)
def test_request_on_a_forged_path_is_not_relayed(
    dialogs: Dialogs, ksr: StrictKsr, method: str, answers: list[tuple[int, str]]
) -> None:
    ksr.variables["$ci"] = "another@b"
    dialogs.request(method)
    assert not ksr.named("tm.t_relay")
    assert ksr.named("sl.sl_send_reply") == answers


def test_request_without_a_route_of_ours_is_answered_481(dialogs: Dialogs, ksr: StrictKsr) -> None:
    ksr.returns["rr.loose_route"] = -1
    dialogs.request("BYE")
    assert ksr.named("sl.sl_send_reply")[0][0] == 481
    dialogs.request("ACK")
    assert len(ksr.named("tm.t_relay")) == 1
    ksr.returns["tm.t_check_trans"] = -1
    dialogs.request("ACK")
    assert len(ksr.named("tm.t_relay")) == 1


def test_request_that_cannot_be_relayed_is_answered_500(dialogs: Dialogs, ksr: StrictKsr) -> None:
    ksr.returns["tm.t_relay"] = -1
    dialogs.request("INFO")
    dialogs.request("ACK")
    assert ksr.named("tm.t_reply") == [(500, "Server Internal Error")]


def test_repeat_of_a_request_goes_no_further(dialogs: Dialogs, ksr: StrictKsr) -> None:
    ksr.returns["tm.t_newtran"] = -1
    dialogs.request("BYE")
    assert not ksr.named("tm.t_relay")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_media_offered_again_is_reported_when_it_is_answered(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox, method: str
) -> None:
    give_sdp(ksr)
    dialogs.request(method)
    ksr.variables["$rm"] = method
    assert outbox.take() == []
    for status in (183, 488, 200):
        ksr.variables["$rs"] = status
        dialogs.replied()
    ((shard, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert (shard, entry.call_sid, entry.is_srtp) == (SHARD, CALL_SID, False)
    assert set(ksr.named("rtpengine.set_rtpengine_set")) == {(1,)}


def test_media_offered_in_a_2xx_is_reported_when_the_ack_answers_it(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    dialogs.request("INVITE")
    give_sdp(ksr)
    ksr.variables |= {"$rs": 200, "$rm": "INVITE"}
    dialogs.replied()
    ((_, identity),) = outbox.take()
    assert isinstance(identity, CallChanged)
    assert (identity.has_sdp, identity.quiet, identity.is_srtp) == (False, None, None)
    dialogs.request("ACK")
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert [name for name, _ in exchanged(ksr)] == ["offer", "answer"]


def test_offer_in_prack_is_reported_when_it_is_answered(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    give_sdp(ksr)
    dialogs.request("PRACK")
    assert outbox.take() == []
    ksr.variables |= {"$rs": 200, "$rm": "PRACK"}
    dialogs.replied()
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert (entry.has_sdp, entry.is_srtp, entry.quiet) == (True, False, ())
    assert (entry.caller, entry.callee) == (None, None)
    assert [name for name, _ in exchanged(ksr)] == ["offer", "answer"]
    assert ksr.named("htable.sht_sets") == [("negotiated", "a@b to", "00")]


def test_answer_in_prack_is_reported_at_once(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    give_sdp(ksr)
    ksr.variables["$rb"] = sdp("RTP/SAVP")
    ksr.returns["htable.sht_get"] = "11"
    dialogs.request("PRACK")
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert (entry.has_sdp, entry.is_srtp, entry.quiet) == (True, True, ())
    assert [name for name, _ in exchanged(ksr)] == ["answer"]
    ksr.returns |= {"textops.has_body_type": -1, "htable.sht_get": None}
    ksr.variables |= {"$rs": 200, "$rm": "PRACK"}
    dialogs.replied()
    assert outbox.take() == []


def test_reply_with_sdp_to_what_renegotiates_nothing_is_left_alone(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    """OPTIONS is answered with an SDP of what the endpoint can do (RFC 3261 §11.2)."""
    dialogs.request("OPTIONS")
    give_sdp(ksr)
    ksr.variables |= {"$rs": 200, "$rm": "OPTIONS", "$rb": sdp("RTP/AVP")}
    dialogs.replied()
    assert (exchanged(ksr), outbox.take()) == ([], [])


def sdp(profile: str, port: int = 9) -> str:
    return f"v=0\r\nm=audio {port} {profile} 8\r\na=rtpmap:8 PCMA/8000\r\n"


@pytest.mark.parametrize(
    ("offer", "answer", "is_srtp"),
    [
        (sdp("RTP/SAVP"), sdp("RTP/SAVP"), True),
        (sdp("RTP/AVP"), sdp("UDP/TLS/RTP/SAVPF"), True),
        (sdp("RTP/SAVPF"), sdp("RTP/AVP"), True),
        (sdp("RTP/AVP"), sdp("RTP/AVP"), False),
        (sdp("RTP/SAVP", port=0), sdp("RTP/AVPF"), False),
    ],
)
def test_media_that_was_renegotiated_is_srtp_when_offer_or_answer_is(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox, offer: str, answer: str, is_srtp: bool
) -> None:
    give_sdp(ksr)
    ksr.variables["$rb"] = offer
    dialogs.request("INVITE")
    ksr.variables |= {"$rb": answer, "$rs": 200, "$rm": "INVITE"}
    dialogs.replied()
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert entry.is_srtp is is_srtp


def test_media_offered_in_a_2xx_is_srtp_when_the_ack_is(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    give_sdp(ksr)
    ksr.variables["$rb"] = sdp("RTP/SAVP")
    dialogs.request("ACK")
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallChanged)
    assert entry.is_srtp


def test_offer_of_sdes_is_passed_on_without_dtls_and_without_weak_suites(
    dialogs: Dialogs, ksr: StrictKsr
) -> None:
    give_sdp(ksr)

    def flags(method: str, body: str) -> list[str]:
        ksr.variables["$rb"] = body
        ksr.calls.clear()
        dialogs.request(method)
        ((_, flags),) = exchanged(ksr)
        *common, callee = flags.split()
        assert callee == f"to-tag=callee-{CALL_SID}"
        return common

    plain = flags("INVITE", sdp("RTP/AVP"))
    sdes = flags("INVITE", sdp("RTP/SAVP"))
    dtls = flags("INVITE", sdp("RTP/SAVP") + "a=fingerprint:sha-256 00\r\n")
    assert len(plain) == 2
    assert sdes == [*dtls, "DTLS=off"]
    assert set(dtls) - set(plain) == {
        f"SDES-no-{suite}_HMAC_SHA1_{bits}" for suite in ("NULL", "F8_128") for bits in (80, 32)
    }
    assert flags("ACK", sdp("RTP/SAVP")) == dtls


@pytest.mark.parametrize(("method", "applied"), [("INVITE", 1), ("INFO", 0)])
def test_contact_of_a_hidden_phone_is_changed_before_the_dialog_is_looked_at(
    dialogs: Dialogs, ksr: StrictKsr, method: str, applied: int
) -> None:
    ksr.returns["nathelper.nat_uac_test"] = 1
    dialogs.request(method)
    names = [name for name, _ in ksr.calls]
    assert names.count("textopsx.msg_apply_changes") == applied
    assert names.index("nathelper.set_contact_alias") < names.index("rr.loose_route")


def test_bye_answered_2xx_is_reported_and_releases_the_media(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    dialogs.request("BYE")
    for status in (100, 200):
        ksr.variables["$rs"] = status
        dialogs.bye_replied()
    ((_, entry),) = outbox.take()
    assert isinstance(entry, ByeAnswered)
    assert (entry.from_tag, entry.to_tag, entry.status) == ("from", "to", 200)
    assert len(ksr.named("rtpengine.rtpengine_delete")) == 1


@pytest.mark.parametrize("status", [481, 408, 503])
def test_bye_refused_is_reported_and_leaves_the_media_to_the_controller(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox, status: int
) -> None:
    dialogs.request("BYE")
    ksr.returns["tm.t_get_status_code"] = status
    dialogs.bye_failed()
    ((_, entry),) = outbox.take()
    assert isinstance(entry, ByeAnswered)
    assert entry.status == status
    assert not ksr.named("rtpengine.rtpengine_delete")


@pytest.mark.parametrize("status", [401, 407])
def test_bye_challenged_ends_nothing(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox, status: int
) -> None:
    dialogs.request("BYE")
    ksr.returns["tm.t_get_status_code"] = status
    dialogs.bye_failed()
    assert outbox.take() == []


def test_reply_outside_of_our_paths_is_let_through(
    dialogs: Dialogs, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    ksr.variables["$rs"] = 200
    dialogs.replied()
    dialogs.bye_replied()
    assert outbox.take() == []
