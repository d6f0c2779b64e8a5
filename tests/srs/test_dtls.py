"""DTLS-SRTP: both roles, each profile, and certificates that are not the offered ones."""

import pytest
from pylibsrtp import Policy, Session

from siprec_srs.dtls import Fingerprint, split_records
from siprec_srs.message import Response
from tests.srs.conftest import StartSrs
from tests.srs.dtls_client import DtlsPeer
from tests.srs.secure_media import crypto_line, frame, rtp, sealer, secure_offer
from tests.srs.src_client import SrcClient, ports_of

DTLS = "UDP/TLS/RTP/SAVP"
CM_80 = "SRTP_AES128_CM_SHA1_80"
SUITE_OF = {
    CM_80: "AES_CM_128_HMAC_SHA1_80",
    "SRTP_AES128_CM_SHA1_32": "AES_CM_128_HMAC_SHA1_32",
    "SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    "SRTP_AEAD_AES_256_GCM": "AEAD_AES_256_GCM",
}


def _establish(src: SrcClient, peer: DtlsPeer, setup: str = "actpass", more: str = "") -> Response:
    lines = f"a=setup:{setup}\r\na=fingerprint:{peer.fingerprint}\r\n{more}"
    src.send(src.invite_request(sdp=secure_offer(src.sdp(), lines, proto=DTLS)))
    answer = src.response("INVITE")
    if answer.status == 200:
        src.take_dialog(answer)
        src.ack(answer)
    return answer


def _rtp_address(answer: Response) -> tuple[str, int]:
    return "127.0.0.1", ports_of(answer)[0]


@pytest.mark.parametrize("profile", SUITE_OF)
@pytest.mark.parametrize(
    ("switches", "setup", "answered"),
    [
        ((), "actpass", "active"),
        (("--dtls-role", "passive"), "actpass", "passive"),
        ((), "active", "passive"),
        (("--dtls-role", "passive"), "passive", "active"),
    ],
)
def test_handshake_gives_keys_that_decrypt(
    start_srs: StartSrs, switches: tuple[str, ...], setup: str, answered: str, profile: str
) -> None:
    srs = start_srs("--raw", *switches)
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, peer, setup)
        text = answer.body.decode()
        assert text.count(f"{DTLS} 0") == text.count(f"a=setup:{answered}") == 2
        through = src.media[0][0]
        secrets = peer.shake(
            through, _rtp_address(answer), is_active=answered == "passive", profiles=profile
        )
        assert secrets.profile == profile
        seal = sealer(SUITE_OF[profile], secrets.ours)
        payloads = [frame(number) for number in range(10)]
        for number, payload in enumerate(payloads):
            through.sendto(seal(rtp(number, payload)), _rtp_address(answer))
        src.bye()
        summary = srs.ended()
    label = summary["labels"]["1"]
    assert (summary["folder"] / "1.raw").read_bytes() == b"".join(payloads)
    assert (label["srtp"]["profile"], label["srtp"]["suite"]) == (DTLS, SUITE_OF[profile])
    assert (label["srtp"]["authenticated_packets"], label["srtp"]["failed_packets"]) == (10, 0)
    assert summary["problems"] == []


def test_packets_that_overtake_the_handshake_wait_for_it(start_srs: StartSrs) -> None:
    srs = start_srs("--raw", "--dtls-role", "passive")
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        to = _rtp_address(_establish(src, peer))
        through = src.media[0][0]
        through.sendto(rtp(1, frame(1)), to)
        secrets = peer.shake(through, to, is_active=True, profiles=CM_80)
        through.sendto(sealer(SUITE_OF[CM_80], secrets.ours)(rtp(2, frame(2))), to)
        src.bye()
        summary = srs.ended()
    assert (summary["folder"] / "1.raw").read_bytes() == frame(2)
    assert summary["labels"]["1"]["srtp"]["clear_packets"] == 1


def test_other_certificate_than_offered_is_refused(start_srs: StartSrs) -> None:
    srs = start_srs("--dtls-role", "passive")
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        to = _rtp_address(_establish(src, peer))
        through = src.media[0][0]
        secrets = DtlsPeer.stranger(peer).shake(through, to, is_active=True, profiles=CM_80)
        through.sendto(sealer(SUITE_OF[CM_80], secrets.ours)(rtp(1, frame(1))), to)
        src.bye()
        summary = srs.ended()
    assert summary["problems"] == ["DTLS: the peer's certificate does not match a=fingerprint"]
    srtp = summary["labels"]["1"]["srtp"]
    assert (srtp["suite"], srtp["authenticated_packets"], srtp["failed_packets"]) == (None, 0, 1)


def test_own_certificate_is_the_answered_one(start_srs: StartSrs) -> None:
    srs = start_srs("--dtls-role", "passive")
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, peer)
        peer.shake(src.media[0][0], _rtp_address(answer), is_active=True, profiles=CM_80)
        found = Fingerprint.of(peer.seen[0])
        assert f"a=fingerprint:{found}\r\n" in answer.body.decode()


def test_rtcp_has_a_handshake_of_its_own(start_srs: StartSrs) -> None:
    srs = start_srs()
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        rtp_socket, rtcp_socket = src.media[0]
        answer = _establish(src, peer, more=f"a=rtcp:{rtcp_socket.getsockname()[1]}\r\n")
        host, port = _rtp_address(answer)
        first = peer.shake(rtp_socket, (host, port), is_active=False, profiles=CM_80)
        second = peer.shake(rtcp_socket, (host, port + 1), is_active=False, profiles=CM_80)
        assert first.ours != second.ours
        rtp_socket.sendto(sealer(SUITE_OF[CM_80], first.ours)(rtp(1, frame(1))), (host, port))
        session = Session(Policy(key=second.theirs, ssrc_type=Policy.SSRC_ANY_INBOUND))
        sealed = rtcp_socket.recv(1500)
        while not 128 <= sealed[0] <= 191:
            sealed = rtcp_socket.recv(1500)
        assert session.unprotect_rtcp(sealed)[1] == 201
        src.bye()
    assert srs.ended()["problems"] == []


def test_lost_client_hello_is_repeated(start_srs: StartSrs) -> None:
    srs = start_srs()
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, peer)
        through = src.media[0][0]
        through.settimeout(5)
        first = [through.recv(2048) for _ in range(3)]
        assert len(set(first)) == 1
        assert first[0][0] == 22
        secrets = peer.shake(through, _rtp_address(answer), is_active=False, profiles=CM_80)
        seal = sealer(SUITE_OF[CM_80], secrets.ours)
        through.sendto(seal(rtp(1, frame(1))), _rtp_address(answer))
        srs.summary(lambda now: now["labels"]["1"]["srtp"]["suite"] == SUITE_OF[CM_80])
        src.bye()
    assert srs.ended()["labels"]["1"]["packets"] == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=fingerprint:sha-256 ", "a=fingerprint:md5 "),
        ("a=fingerprint:sha-256 ", "a=nothing:"),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=setup:actpass", "a=nothing"),
    ],
)
def test_offer_without_fingerprint_or_role_is_answered_488(
    start_srs: StartSrs, old: str, new: str
) -> None:
    srs = start_srs()
    lines = f"a=setup:actpass\r\na=fingerprint:{DtlsPeer().fingerprint}\r\n".replace(old, new)
    with SrcClient(srs.address, tcp=True) as src:
        offer = secure_offer(src.sdp(), lines, proto=DTLS)
        src.send(src.invite_request(sdp=offer))
        assert src.response("INVITE").status == 488


def test_fingerprint_may_stand_before_the_m_lines(start_srs: StartSrs) -> None:
    srs = start_srs()
    lines = f"t=0 0\r\na=setup:actpass\r\na=fingerprint:{DtlsPeer().fingerprint}\r\n"
    with SrcClient(srs.address, tcp=True) as src:
        offer = src.sdp().replace("RTP/AVP", DTLS).replace("t=0 0\r\n", lines)
        src.send(src.invite_request(sdp=offer))
        answer = src.response("INVITE")
        assert (answer.status, answer.body.count(b"a=fingerprint:")) == (200, 2)


@pytest.mark.parametrize("switch", ["--answer-avp", "--no-crypto"])
def test_downgrade_has_no_fingerprint(start_srs: StartSrs, switch: str) -> None:
    srs = start_srs(switch)
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, peer, more=crypto_line(1, "AES_CM_128_HMAC_SHA1_80"))
        assert b"fingerprint" not in answer.body
        src.media[0][0].sendto(rtp(1, frame(1)), _rtp_address(answer))
        src.bye()
    assert srs.ended()["labels"]["1"]["srtp"]["clear_packets"] == 1


def test_no_profile_in_common_is_a_problem(start_srs: StartSrs) -> None:
    srs = start_srs("--suites", "AEAD_AES_256_GCM", "--dtls-role", "passive")
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        to = _rtp_address(_establish(src, peer))
        with pytest.raises(KeyError):
            peer.shake(src.media[0][0], to, is_active=True, profiles=CM_80)
        src.bye()
    assert srs.ended()["problems"] == ["DTLS: no SRTP profile in common"]


def test_garbage_on_a_media_port_does_no_harm(start_srs: StartSrs) -> None:
    srs = start_srs("--dtls-role", "passive")
    peer = DtlsPeer()
    with SrcClient(srs.address, tcp=True) as src:
        to = _rtp_address(_establish(src, peer))
        for data in (b"\x16", b"\x16" + bytes(30), bytes([20]) * 1500, bytes([63]) * 13, b"\x80"):
            src.media[0][0].sendto(data, to)
        src.bye()
    assert srs.ended()["state"] == "ended"


def test_records_are_packed_into_datagrams() -> None:
    small = bytes(11) + (100).to_bytes(2) + bytes(100)
    assert [len(part) for part in split_records(small * 12)] == [10 * 113, 2 * 113]
    assert split_records(b"") == []
