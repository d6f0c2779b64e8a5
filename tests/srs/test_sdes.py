"""SDES-SRTP: each suite, byte for byte, and each way to go wrong."""

import base64
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from siprec_srs.message import Response
from siprec_srs.sdes import choose_crypto, hide_secrets, new_secret
from siprec_srs.sdp import parse_offer
from siprec_srs.suites import SUITES
from tests.srs.conftest import Srs, StartSrs
from tests.srs.secure_media import (
    SIZES,
    TEST_SECRET,
    crypto_line,
    derive,
    frame,
    inline,
    rtp,
    sealer,
    secret_of,
    secure_offer,
)
from tests.srs.src_client import SrcClient, ports_of

ALL = tuple(SUITES)
CM_80 = "AES_CM_128_HMAC_SHA1_80"
CM_32 = "AES_CM_128_HMAC_SHA1_32"


def _establish(src: SrcClient, lines: str) -> Response:
    src.send(src.invite_request(sdp=secure_offer(src.sdp(), lines)))
    answer = src.response("INVITE")
    if answer.status == 200:
        src.take_dialog(answer)
        src.ack(answer)
    return answer


def _cryptos(answer: Response) -> list[tuple[str, str, bytes]]:
    found = re.findall(rb"a=crypto:(\d+) (\S+) inline:(\S+)", answer.body)
    return [(tag.decode(), suite.decode(), base64.b64decode(key)) for tag, suite, key in found]


def _send(src: SrcClient, answer: Response, packets: list[bytes], index: int = 0) -> None:
    for packet in packets:
        src.media[index][0].sendto(packet, ("127.0.0.1", ports_of(answer)[index]))


def _end(srs: Srs, src: SrcClient) -> dict[str, Any]:
    src.bye()
    return srs.ended()


def test_keys_are_derived_as_rfc_3711_b3_says() -> None:
    assert derive(TEST_SECRET[:30], 16, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(TEST_SECRET[:30], 16, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"


@pytest.mark.parametrize("suite", SIZES)
def test_each_suite_is_decrypted_byte_for_byte(start_srs: StartSrs, suite: str) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(7, suite))
        assert answer.body.count(b"RTP/SAVP 0") == 2
        assert [(tag, name, len(key)) for tag, name, key in _cryptos(answer)] == [
            ("7", suite, len(secret_of(suite)))
        ] * 2
        assert len({key for _, _, key in _cryptos(answer)} | {secret_of(suite)}) == 3
        seal = sealer(suite, secret_of(suite))
        payloads = [frame(number) for number in range(20)]
        _send(src, answer, [seal(rtp(100 + n, data)) for n, data in enumerate(payloads)])
        summary = _end(srs, src)
    label = summary["labels"]["1"]
    assert (summary["folder"] / "1.raw").read_bytes() == b"".join(payloads)
    assert (label["packets"], label["lost"], label["malformed"]) == (20, 0, 0)
    assert label["srtp"] == {
        "profile": "RTP/SAVP",
        "suite": suite,
        "authenticated_packets": 20,
        "failed_packets": 0,
        "clear_packets": 0,
        "replayed_packets": 0,
        "clear_rtcp_packets": 0,
    }
    assert summary["problems"] == []


def test_plain_rtp_has_no_srtp_in_the_summary(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        assert _end(srs, src)["labels"]["1"]["srtp"] is None


@pytest.mark.parametrize(
    ("switches", "lines", "chosen"),
    [
        ((), crypto_line(3, CM_32) + crypto_line(1, CM_80), ("3", CM_32)),
        ((), f"a=crypto:1 X8_128_HMAC_SHA1_80 {inline(CM_80)}\r\n", None),
        (("--suites", CM_80), crypto_line(3, CM_32) + crypto_line(1, CM_80), ("1", CM_80)),
        (("--suites", "AEAD_AES_256_GCM"), crypto_line(1, CM_80), None),
        ((), f"a=crypto:1 {CM_80} inline:AAAA\r\n", None),
        ((), f"a=crypto:1 {CM_80} {inline(CM_80)} UNENCRYPTED_SRTP\r\n", None),
        ((), f"a=crypto:1 {CM_80} {inline(CM_80)}|2^31|1:4\r\n", None),
        ((), f"a=crypto:1 {CM_80} {inline(CM_80)}|2^31 WSH=64\r\n", ("1", CM_80)),
        ((), "", None),
    ],
)
def test_first_usable_suite_is_chosen(
    start_srs: StartSrs, switches: tuple[str, ...], lines: str, chosen: tuple[str, str] | None
) -> None:
    srs = start_srs(*switches)
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, lines)
        if chosen is None:
            assert answer.status == 488
            assert any("without a key that we can use" in text for text in srs.ended()["problems"])
        else:
            assert [crypto[:2] for crypto in _cryptos(answer)] == [chosen] * 2
            assert _end(srs, src)["problems"] == []


def test_key_without_padding_is_read() -> None:
    suite = "AEAD_AES_128_GCM"
    crypto = choose_crypto([f"1 {suite} {inline(suite, pad=False)}"], ALL)
    assert crypto is not None
    assert crypto.secret == secret_of(suite)
    assert "secret" not in repr(crypto)


@given(st.text(max_size=80))
def test_any_crypto_value_is_read_or_passed_over(text: str) -> None:
    for value in (text, f"1 {CM_80} {text}", f"1 {CM_80} inline:{text}"):
        crypto = choose_crypto([value], ALL)
        assert crypto is None or len(crypto.secret) == 30


def test_worthless_suites_are_a_problem(start_srs: StartSrs) -> None:
    srs = start_srs()
    lines = f"a=crypto:9 NULL_HMAC_SHA1_80 {inline(CM_80)}\r\n"
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80) + lines)
        assert answer.status == 200
        problems = _end(srs, src)["problems"]
    assert problems == [f"label {n} offers NULL_HMAC_SHA1_80" for n in (1, 2)]


def test_clear_packets_are_counted_and_not_decoded(start_srs: StartSrs) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        _send(src, answer, [rtp(n, frame(n)) for n in range(5)] + [rtp(9, b"\1\2\3\4", kind=101)])
        src.media[0][1].sendto(
            bytes.fromhex("80c90001") + b"ssrc", ("127.0.0.1", ports_of(answer)[0] + 1)
        )
        summary = _end(srs, src)
    label = summary["labels"]["1"]
    assert (summary["folder"] / "1.raw").read_bytes() == b""
    assert (label["packets"], label["speech_s"], label["duration_s"]) == (0, 0.0, 0.0)
    counted = {name: number for name, number in label["srtp"].items() if number}
    assert counted == {
        "profile": "RTP/SAVP",
        "suite": CM_80,
        "clear_packets": 6,
        "clear_rtcp_packets": 1,
    }


def test_wrong_keys_changed_bits_and_replays_are_told_apart(start_srs: StartSrs) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        seal, wrong = sealer(CM_80, secret_of(CM_80)), sealer(CM_80, bytes(30))
        good = seal(rtp(1, frame(1)))
        changed = bytearray(seal(rtp(2, frame(2))))
        changed[50] ^= 1
        _send(src, answer, [good, good, bytes(changed), wrong(rtp(3, frame(3)))])
        label = _end(srs, src)["labels"]["1"]
    srtp = label["srtp"]
    assert (srtp["authenticated_packets"], srtp["replayed_packets"]) == (1, 1)
    assert (srtp["failed_packets"], srtp["clear_packets"]) == (2, 0)
    assert label["packets"] == 1


def test_sequence_numbers_may_wrap(start_srs: StartSrs) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        before, after = (sealer(CM_80, secret_of(CM_80), rollover=n) for n in (0, 1))
        packets = [before(rtp(65534, frame(1))), before(rtp(65535, frame(2)))]
        packets += [after(rtp(65536, frame(3))), after(rtp(65537, frame(4)))]
        _send(src, answer, packets)
        summary = _end(srs, src)
    assert (summary["folder"] / "1.raw").read_bytes() == b"".join(frame(n) for n in range(1, 5))


def test_reports_are_srtcp_under_the_answered_key(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        rtcp = src.media[0][1]
        lines = crypto_line(1, CM_80) + f"a=rtcp:{rtcp.getsockname()[1]}\r\n"
        answer = _establish(src, lines)
        seal = sealer(CM_80, secret_of(CM_80))
        _send(src, answer, [seal(rtp(100 + n, frame(n))) for n in range(10)])
        sealed = rtcp.recv(1500)
        key = _cryptos(answer)[0][2]
        plain = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND)).unprotect_rtcp(sealed)
        assert plain[1] == 201
        assert len(sealed) == len(plain) + 14
        summary = _end(srs, src)
    assert summary["labels"]["1"]["rtcp_reports"] == 1


def test_new_keys_in_a_reinvite_take_over(start_srs: StartSrs) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        old, new = sealer(CM_80, secret_of(CM_80)), sealer(CM_80, bytes(range(30)))
        _send(src, answer, [old(rtp(1, frame(1)))])
        line = f"a=crypto:1 {CM_80} inline:{base64.b64encode(bytes(range(30))).decode()}\r\n"
        offer = secure_offer(src.sdp(version=2), line)
        src.send(src.invite_request(sdp=offer))
        again = src.response("INVITE")
        src.ack(again)
        assert _cryptos(again) == _cryptos(answer)
        _send(src, answer, [old(rtp(2, frame(2))), new(rtp(3, frame(3)))])
        summary = _end(srs, src)
    assert summary["problems"] == []
    assert (summary["folder"] / "1.raw").read_bytes() == b"".join(frame(n) for n in (1, 2, 3))


def test_plain_session_becomes_secure_by_reinvite(start_srs: StartSrs) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=True) as src:
        answer = src.establish()
        _send(src, answer, [rtp(1, frame(1))])
        src.send(src.invite_request(sdp=secure_offer(src.sdp(version=2), crypto_line(1, CM_80))))
        again = src.response("INVITE")
        src.ack(again)
        assert ports_of(again) == ports_of(answer)
        _send(src, answer, [sealer(CM_80, secret_of(CM_80))(rtp(2, frame(2))), rtp(3, frame(3))])
        summary = _end(srs, src)
    assert (summary["folder"] / "1.raw").read_bytes() == frame(1) + frame(2)
    assert summary["labels"]["1"]["srtp"]["clear_packets"] == 1


@pytest.mark.parametrize(
    ("switch", "crypto"),
    [
        ("--answer-avp", None),
        ("--no-crypto", None),
        ("--unoffered-tag", ("6", CM_80)),
        ("--unoffered-suite", ("5", CM_32)),
    ],
)
def test_downgrade_is_answered(
    start_srs: StartSrs, switch: str, crypto: tuple[str, str] | None
) -> None:
    srs = start_srs(switch)
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(5, CM_80))
        assert [found[:2] for found in _cryptos(answer)] == ([crypto] * 2 if crypto else [])
        proto = b"RTP/AVP" if switch == "--answer-avp" else b"RTP/SAVP"
        assert answer.body.count(proto + b" 0") == 2
        # A careless SRC sends in the clear now; the summary shows it.
        _send(src, answer, [rtp(1, frame(1))])
        label = _end(srs, src)["labels"]["1"]
    assert (label["srtp"]["clear_packets"], label["packets"]) == (1, 0)


def test_unoffered_suite_when_all_are_offered_is_another_one(start_srs: StartSrs) -> None:
    srs = start_srs("--unoffered-suite")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, "".join(crypto_line(n, s) for n, s in enumerate(SIZES, 1)))
        assert _cryptos(answer)[0][:2] == ("1", "AES_192_CM_HMAC_SHA1_80")


def test_keys_are_not_written_to_disk(start_srs: StartSrs) -> None:
    srs = start_srs("--events")
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        ours = _cryptos(answer)[0][2]
        folder = _end(srs, src)["folder"]
    out, err = srs.stop()
    written = b"".join(path.read_bytes() for path in folder.iterdir()) + (out + err).encode()
    for secret in (secret_of(CM_80), ours):
        assert base64.b64encode(secret) not in written
    assert b"inline:(hidden)" in (folder / "sdp-offer.sdp").read_bytes()
    assert b"inline:(hidden)" in (folder / "sdp-answer.sdp").read_bytes()


def test_keys_are_written_to_a_file_that_is_asked_for(start_srs: StartSrs, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    srs = start_srs("--keys", str(keys))
    with SrcClient(srs.address, tcp=True) as src:
        answer = _establish(src, crypto_line(1, CM_80))
        used = [secret_of(CM_80)] * 2 + [key for _, _, key in _cryptos(answer)]
        folder = _end(srs, src)["folder"]
    assert keys.read_text().split() == [base64.b64encode(key).decode() for key in used]
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert b"inline:(hidden)" in (folder / "sdp-offer.sdp").read_bytes()


def test_hidden_secret_leaves_the_rest() -> None:
    secret = base64.b64encode(new_secret(SUITES[CM_80]))
    line = b"a=crypto:1 X inline:" + secret + b"|2^31|1:4\r\na=label:1\r\n"
    assert hide_secrets(line) == b"a=crypto:1 X inline:(hidden)|2^31|1:4\r\na=label:1\r\n"


def test_keys_outlive_a_reinvite_of_the_srs_to_other_ports(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--moved-port")
    with SrcClient(srs.address, tcp=True) as src:
        lines = crypto_line(1, CM_80)
        answer = _establish(src, lines)
        seal = sealer(CM_80, secret_of(CM_80))
        _send(src, answer, [seal(rtp(number, frame(number))) for number in range(3)])
        offer = src.request("INVITE")
        crypto = b"a=crypto:1 " + CM_80.encode()
        assert offer.body.count(crypto) == answer.body.count(crypto) == 2
        src.accept(offer, secure_offer(src.sdp(), lines))
        src.request("ACK")
        port = parse_offer(offer.body).media[0].port
        for number in range(3, 8):
            src.media[0][0].sendto(seal(rtp(number, frame(number))), ("127.0.0.1", port))
        summary = _end(srs, src)
    assert summary["labels"]["1"]["srtp"]["authenticated_packets"] == 8
    assert summary["labels"]["1"]["srtp"]["failed_packets"] == 0
    assert summary["problems"] == []
