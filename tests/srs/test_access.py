"""Digest and header authentication, capacity, death on command."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec_srs.access import REALM, Access, digest_response
from siprec_srs.behaviour import AccessPolicy
from siprec_srs.cli import main
from siprec_srs.message import Request, Response
from tests.srs.conftest import Srs, StartSrs
from tests.srs.src_client import SrcClient

SECRET = "recorder:s3cret"
ALGORITHMS = ["MD5", "SHA-256"]
URI = "sip:srs@example.com"


def _fields(challenge: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.removeprefix("Digest ")))


def _answer(
    challenge: str,
    secret: str,
    *,
    method: str = "INVITE",
    count: int = 1,
    changed: dict[str, str] | None = None,
) -> tuple[str, str]:
    """Write the Authorization header that answers a challenge; some fields may be wrong."""
    asked = _fields(challenge)
    fields = {"uri": URI, "nonce": asked["nonce"], "nc": f"{count:08x}", "cnonce": "0a4f113b"}
    response = digest_response(asked["algorithm"], secret, method, fields)
    fields |= {"username": secret.partition(":")[0], "realm": REALM, "response": response}
    fields = {"qop": "auth", "algorithm": asked["algorithm"], **fields} | (changed or {})
    text = ", ".join(
        f"{name}={value}" if name in ("nc", "qop", "algorithm") else f'{name}="{value}"'
        for name, value in fields.items()
    )
    return "Authorization", f"Digest {text}"


def _challenged(src: SrcClient, extra: list[tuple[str, str]] | None = None) -> str:
    src.send(src.invite_request(extra=extra or []))
    answer = src.response("INVITE")
    assert answer.status == 401
    challenge = answer.get("WWW-Authenticate")
    assert _fields(challenge).keys() >= {"realm", "nonce", "qop", "algorithm"}
    return challenge


def _enter(src: SrcClient, header: tuple[str, str]) -> Response:
    src.send(src.invite_request(extra=[header]))
    answer = src.response("INVITE")
    if answer.status == 200:
        src.take_dialog(answer)
        src.ack(answer)
    return answer


def test_response_is_as_in_rfc_7616_3_9_1() -> None:
    fields = {
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    }
    secret, realm = "Mufasa:Circle of Life", "http-auth@example.org"
    assert {name: digest_response(name, secret, "GET", fields, realm) for name in ALGORITHMS} == {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_right_digest_enters(start_srs: StartSrs, algorithm: str, tcp: bool) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--digest-algorithm", algorithm)
    with SrcClient(srs.address, tcp=tcp) as src:
        challenge = _challenged(src)
        assert _fields(challenge)["algorithm"] == algorithm
        assert _enter(src, _answer(challenge, "recorder:s3cret")).status == 200
        assert src.bye().status == 200
    summary = srs.ended()
    assert len(srs.summaries()) == 1
    assert summary["verified"]["authentication"] == f"digest {algorithm}"
    assert dict(summary["headers"])["Authorization"] == "(hidden)"
    assert "cnonce" not in (summary["folder"] / "summary.json").read_text()
    assert summary["problems"] == []


def test_proxy_auth_asks_with_407(start_srs: StartSrs) -> None:
    srs = start_srs("--digest", SECRET, "--proxy-auth")
    with SrcClient(srs.address, tcp=True) as src:
        invite = src.send(src.invite_request())
        asked = src.response("INVITE")
        assert (asked.status, asked.reason) == (407, "Proxy Authentication Required")
        assert not asked.all("WWW-Authenticate")
        src.ack_refusal(invite, asked)
        name, value = _answer(asked.get("Proxy-Authenticate"), SECRET)
        assert _enter(src, (f"Proxy-{name}", value)).status == 200
        src.bye()
    summary = srs.ended()
    assert dict(summary["headers"])["Proxy-Authorization"] == "(hidden)"
    assert summary["verified"]["authentication"] == "digest MD5"


@pytest.mark.parametrize(
    ("secret", "changed"),
    [
        ("recorder:wrong", {}),
        ("stranger:s3cret", {}),
        ("recorder:s3cret", {"realm": "elsewhere"}),
        ("recorder:s3cret", {"qop": "auth-int"}),
        ("recorder:s3cret", {"algorithm": "SHA-256"}),
        ("recorder:s3cret", {"uri": "sip:other@example.com"}),
        ("recorder:s3cret", {"response": "f" * 32}),
        ("recorder:s3cret", {"nc": "00000002"}),
    ],
)
def test_wrong_digest_is_challenged_again(
    start_srs: StartSrs, secret: str, changed: dict[str, str]
) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--events")
    with SrcClient(srs.address, tcp=True) as src:
        again = _challenged(src, [_answer(_challenged(src), secret, changed=changed)])
        assert "stale" not in again
    out, _ = srs.stop()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["challenged"] * 2
    assert events[0]["why"] == "no credentials"
    assert "s3cret" not in out
    assert srs.summaries() == []


def _request(*authorization: str) -> Request:
    headers = tuple(("Authorization", value) for value in authorization)
    return Request(method="INVITE", uri=URI, headers=headers)


def test_old_and_repeated_nonces_are_stale() -> None:
    now = [100.0]
    policy = AccessPolicy(digest=SECRET, digest_algorithm="SHA-256", nonce_lifetime_s=30)
    access = Access(policy, lambda: now[0])
    challenge = access.judge(_request()).headers[0][1]
    first = _answer(challenge, "recorder:x")[1]
    assert access.judge(_request(first)).why == "wrong response"

    def judge(count: int) -> tuple[int, str, bool]:
        verdict = access.judge(_request(_quoted_answer(challenge, count)))
        return verdict.status, verdict.why, any("stale=true" in h for _, h in verdict.headers)

    assert judge(1) == (0, "", False)
    assert judge(1) == (401, "nc did not rise", True)
    assert judge(2) == (0, "", False)
    now[0] += 31
    assert judge(3) == (401, "stale nonce", True)
    other = Access(policy, lambda: now[0])
    verdict = other.judge(_request(_quoted_answer(challenge, 4)))
    assert verdict.why == "the nonce is none of ours"


def _quoted_answer(challenge: str, count: int) -> str:
    return _answer(challenge, SECRET, count=count)[1]


@given(st.text(max_size=60))
def test_any_authorization_is_judged(text: str) -> None:
    access = Access(AccessPolicy(digest=SECRET))
    for value in (text, f"Digest {text}", f'Digest realm="{REALM}", qop=auth, username={text}'):
        assert access.judge(_request(value)).status == 401


def test_bytes_that_are_no_utf_8_are_judged(start_srs: StartSrs) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--require-header", "X-Key:k")
    with SrcClient(srs.address, tcp=True) as src:
        request = src.invite_request(extra=[("X-Key", "k"), ("Authorization", "Digest a=~~")])
        src.send_raw(request.encode().replace(b"~~", b"\xff\xfe"))
        assert src.response("INVITE").status == 401


def test_stale_nonce_is_answered_with_a_new_one(start_srs: StartSrs) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--nonce-lifetime", "0")
    with SrcClient(srs.address, tcp=True) as src:
        first = _challenged(src)
        second = _challenged(src, [_answer(first, "recorder:s3cret")])
    assert "stale=true" in second
    assert _fields(first)["nonce"] != _fields(second)["nonce"]


def test_digest_all_challenges_inside_the_dialog(start_srs: StartSrs) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--digest-all")
    with SrcClient(srs.address, tcp=True) as src:
        challenge = _challenged(src)
        _enter(src, _answer(challenge, "recorder:s3cret"))
        refusal = src.bye()
        assert refusal.status == 401
        fresh = refusal.get("WWW-Authenticate")
        assert src.bye(extra=[_answer(fresh, "recorder:s3cret", method="BYE")]).status == 200
    assert srs.ended()["problems"] == []


def test_options_need_no_credentials(start_srs: StartSrs) -> None:
    srs = start_srs("--digest", "recorder:s3cret", "--require-header", "X-Key:k")
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.build("OPTIONS"))
        assert src.response("OPTIONS").status == 200


@pytest.mark.parametrize(
    ("headers", "why"),
    [([], "header X-Api-Key is missing"), ([("X-Api-Key", "guess")], "has another value")],
)
def test_without_the_header_the_answer_is_403(
    start_srs: StartSrs, headers: list[tuple[str, str]], why: str
) -> None:
    srs = start_srs("--require-header", "X-Api-Key: top-secret")
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request(extra=headers))
        assert src.response("INVITE").status == 403
    summary = srs.ended()
    assert (summary["state"], summary["refused_with"]) == ("refused", 403)
    assert why in summary["problems"][0]


def test_required_header_enters_and_is_hidden(start_srs: StartSrs) -> None:
    srs = start_srs("--require-header", "X-Api-Key: top-secret")
    with SrcClient(srs.address, tcp=True) as src:
        assert _enter(src, ("x-api-key", "top-secret")).status == 200
        src.bye()
    summary = srs.ended()
    assert summary["verified"]["authentication"] == "header"
    assert "top-secret" not in (summary["folder"] / "summary.json").read_text()


def test_capacity_refuses_one_too_many_until_one_ends(start_srs: StartSrs) -> None:
    srs = start_srs("--capacity", "2")
    with (
        SrcClient(srs.address, tcp=True) as one,
        SrcClient(srs.address, tcp=True) as two,
        SrcClient(srs.address, tcp=True) as three,
    ):
        one.establish()
        two.establish()
        three.send(three.invite_request())
        refusal = three.response("INVITE")
        assert (refusal.status, refusal.get("Retry-After")) == (503, "5")
        one.bye()
        three.establish()
        two.bye()
        three.bye()
    srs.stop()
    assert sorted(summary["refused_with"] or 0 for summary in srs.summaries()) == [0, 0, 0, 503]


def test_file_that_appears_is_death_without_bye(start_srs: StartSrs, tmp_path: Path) -> None:
    signal = tmp_path / "die"
    srs = start_srs("--die-on", str(signal))
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        assert srs.process.poll() is None
        signal.touch()
        assert srs.process.wait(5) == 0
        with pytest.raises(ConnectionError):
            src.receive()
    assert _state(srs) == "recording"


def _state(srs: Srs) -> str:
    return str(srs.summaries()[-1]["state"])


@pytest.mark.parametrize(
    "switches",
    [
        ("--digest", "nobody"),
        ("--digest", ":x"),
        ("--require-header", "X-Key"),
        ("--require-header", ":k"),
        ("--suites", "AES_CM_128_HMAC_SHA1_80,ROT13"),
    ],
)
def test_wrong_switches_are_told(
    switches: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--listen", "127.0.0.1:0", *switches]) == 2
    assert switches[0] in capsys.readouterr().err
