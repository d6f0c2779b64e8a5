"""Recorders with `secure=true`: signalling over TLS, media in SRTP, or nothing at all."""

from pathlib import Path

import pytest

from siprec.alerts import AlertLevel
from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_phone import SecurePhone
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import dial
from tests.scenarios.talk import Talk
from tests.scenarios.trial_ca import TrialCa

pytestmark = pytest.mark.daemon

DEFAULT_SUITE = "AES_CM_128_HMAC_SHA1_80"
# What libsrtp knows. AES_192_CM is held against its RFC in tests/rtpengine.
SUITES = (
    DEFAULT_SUITE,
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
)

UNREACHABLE = 32011
AUTHENTICATION = 32106
BAD_PROTECTION = 32207
NOT_SECURE = 32209


def protection(session: Session) -> list[tuple[str, str]]:
    """Give profile and suite of each track; all its packets must have come so."""
    for track in session.tracks:
        srtp = track.summary["srtp"]
        assert srtp["authenticated_packets"] == track.packets
        wrong = ("replayed", "clear", "failed", "clear_rtcp")
        assert [srtp[f"{kind}_packets"] for kind in wrong] == [0, 0, 0, 0]
    return [(t.summary["srtp"]["profile"], t.summary["srtp"]["suite"]) for t in session.tracks]


# What records. rtpengine logs an error for media that comes before the handshake of DTLS.


def test_secure_recorder_gets_metadata_over_tls_and_media_in_srtp(
    secure_stage: SecureStage,
) -> None:
    srs = secure_stage.secure_recorder()
    start = secure_stage.secure_connector(srs.secure_uri)
    (session,) = secure_stage.record([start], [srs])
    verified = session.summary["verified"]
    assert (verified["transport"], verified["tls_version"]) == ("TLS", "TLSv1.3")
    assert verified["cipher"].startswith("TLS_")
    assert protection(session) == [("RTP/SAVP", DEFAULT_SUITE)] * 2
    assert "transport=tls" in session.headers("Contact")[0]


def test_call_in_every_suite_at_once_is_recorded_byte_by_byte(secure_stage: SecureStage) -> None:
    srs = secure_stage.secure_recorder()
    starts = [
        secure_stage.secure_connector(srs.secure_uri, options=["--suites", suite])
        for suite in SUITES
    ]
    sessions = secure_stage.record(starts, [srs] * len(SUITES))
    assert [protection(session) for session in sessions] == [
        [("RTP/SAVP", suite)] * 2 for suite in SUITES
    ]


def test_recorder_may_choose_another_suite_than_the_best(secure_stage: SecureStage) -> None:
    suites = ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_32")
    srs = secure_stage.secure_recorder("--suites", suites[1])
    options = ["--suites", ",".join(suites)]
    start = secure_stage.secure_connector(srs.secure_uri, options=options)
    (session,) = secure_stage.record([start], [srs])
    assert protection(session) == [("RTP/SAVP", suites[1])] * 2


def test_call_keyed_by_dtls_is_recorded_whichever_side_shakes_hands(
    any_secure_stage: SecureStage,
) -> None:
    recorders = [
        any_secure_stage.secure_recorder("--dtls-role", role) for role in ("active", "passive")
    ]
    starts = [
        any_secure_stage.secure_connector(srs.secure_uri, options=["--keying", "dtls"])
        for srs in recorders
    ]
    for session in any_secure_stage.record(starts, recorders):
        for profile, suite in protection(session):
            assert profile == "UDP/TLS/RTP/SAVP"
            assert suite in SUITES


def test_plain_and_secure_recorders_of_one_call_each_get_their_own(
    secure_stage: SecureStage,
) -> None:
    srs = secure_stage.secure_recorder()
    secure = secure_stage.secure_connector(srs.secure_uri)
    only_tls = secure_stage.secure_connector(f"sip:recorder@{srs.tls_address};transport=tls")
    plain = secure_stage.connect(srs.uri)
    sessions = secure_stage.record([secure, only_tls, plain], [srs] * 3)
    assert [session.summary["verified"]["transport"] for session in sessions] == [
        "TLS",
        "TLS",
        "TCP",
    ]
    assert protection(sessions[0]) == [("RTP/SAVP", DEFAULT_SUITE)] * 2
    assert [t.summary["srtp"] for s in sessions[1:] for t in s.tracks] == [None] * 4


def test_requests_of_a_secure_recorder_are_answered_and_media_stays_secure(
    secure_stage: SecureStage,
) -> None:
    srs = secure_stage.secure_recorder("--reinvite-after", "0.1", "--options-after", "0.2")
    start = secure_stage.secure_connector(srs.secure_uri)
    caller, callee = secure_stage.begin(start)

    def answers() -> list[tuple[str, int]]:
        (session,) = srs.sessions()
        return [(each["method"], each["status"]) for each in session.summary["sent_requests"]]

    with Talk(caller, callee) as talking:
        secure_stage.wait_recording(caller)
        poll(lambda: sorted(answers()) == [("INVITE", 200), ("OPTIONS", 200)], why=lambda: srs.log)
        talking.go_on()
    hang_up(caller, callee)
    session = secure_stage.wait_recorded(caller, srs=srs)
    assert protection(session) == [("RTP/SAVP", DEFAULT_SUITE)] * 2
    talking.missing([track.raw for track in session.tracks])
    secure_stage.wait_call_over(caller)


# What does not


def test_answer_that_takes_protection_away_fails_and_nothing_is_sent_in_clear(
    any_secure_stage: SecureStage,
) -> None:
    kinds = [
        (["--answer-avp"], "sdes"),
        (["--no-crypto"], "sdes"),
        (["--unoffered-suite"], "sdes"),
        (["--unoffered-tag"], "sdes"),
        (["--answer-avp"], "dtls"),
        (["--no-crypto"], "dtls"),
    ]
    recorders = [any_secure_stage.secure_recorder(*switches) for switches, _ in kinds]
    starts = [
        any_secure_stage.secure_connector(srs.secure_uri, options=["--keying", keying])
        for srs, (_, keying) in zip(recorders, kinds, strict=True)
    ]
    caller, callee = any_secure_stage.begin(*starts)
    with Talk(caller, callee) as talking:
        streams = any_secure_stage.wait_streams(caller, StreamState.FAILED, len(kinds))
        talking.go_on()
    assert talking.lost == ([], [])
    alerts = {alert.stream_sid: alert for alert in any_secure_stage.alerts(caller)}
    assert len(alerts) == len(any_secure_stage.alerts(caller)) == len(kinds)
    for stream, srs in zip(streams, recorders, strict=True):
        session = any_secure_stage.wait_session(stream, srs)
        assert session.ended_by == "src-bye"
        packets = ("authenticated", "clear", "failed", "replayed", "clear_rtcp")
        counts = [t.summary["srtp"][f"{kind}_packets"] for t in session.tracks for kind in packets]
        assert counts == [0] * 2 * len(packets)
        assert session.packets == 0
        alert = alerts[stream.sid]
        assert (alert.code, alert.level) == (BAD_PROTECTION, AlertLevel.ERROR)
        assert srs.tls_address in alert.text
        assert stream.error_code == BAD_PROTECTION
    hang_up(caller, callee)
    assert any_secure_stage.wait_call_over(caller).end_reason == "bye"


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("server-wrong-host", "certificate of 127.0.0.1 is for "),
        ("server-untrusted", "untrusted"),
        ("server-expired", "expired"),
    ],
)
def test_recorder_with_a_wrong_certificate_gets_no_invite(
    any_secure_stage: SecureStage, certificate: str, why: str
) -> None:
    srs = any_secure_stage.secure_recorder("--events", certificate=certificate)
    refused_by_tls(any_secure_stage, srs, why)


def test_recorder_that_wants_a_client_certificate_gets_no_invite_without_one(
    any_secure_stage: SecureStage,
) -> None:
    ca = any_secure_stage.ca
    srs = any_secure_stage.secure_recorder("--events", "--tls-client-ca", ca.file("ca.pem"))
    refused_by_tls(any_secure_stage, srs, "refused")


def refused_by_tls(stage: SecureStage, srs: ReferenceSrs, why: str) -> None:
    """See a stream fail, with a reason, before the recorder learns of it; the call goes on."""
    # Health checks would fill the log with errors during tests that come after.
    start = stage.secure_connector(srs.secure_uri, options=["--options-s", "0"])
    caller, callee = stage.begin(start)
    with Talk(caller, callee) as talking:
        stream = stage.wait_stream(caller, StreamState.FAILED)
        talking.go_on()
    assert talking.lost == ([], [])
    (alert,) = stage.alerts(caller)
    assert (alert.code, stream.error_code) == (UNREACHABLE, UNREACHABLE)
    assert srs.tls_address in alert.text
    assert why in alert.text
    hang_up(caller, callee)
    stage.wait_call_over(caller)
    assert srs.sessions() == []
    assert "invite" not in srs.log


def test_recorder_that_wants_a_client_certificate_records_with_one(
    secure_stage: SecureStage,
) -> None:
    ca = secure_stage.ca
    srs = secure_stage.secure_recorder("--tls-client-ca", ca.file("ca.pem"))
    start = secure_stage.secure_connector(srs.secure_uri, options=ca.login())
    (session,) = secure_stage.record([start], [srs])
    assert "siprec-src" in session.summary["verified"]["client_certificate"]


def test_certificate_that_ends_soon_raises_a_warning(
    secure_stage: SecureStage, tmp_path: Path
) -> None:
    ca = TrialCa(tmp_path / "ca", "--days", "20")
    srs = secure_stage.recorder_alone(*ca.listen())
    secure_stage.connect(srs.secure_uri, options=ca.trust())

    def warnings() -> list[str]:
        alerts = secure_stage.stack.store.alerts(1000)
        mine = [alert for alert in alerts if srs.tls_address in alert.text]
        assert all((a.code, a.level) == (NOT_SECURE, AlertLevel.WARNING) for a in mine)
        return [alert.text for alert in mine]

    (text,) = poll(warnings)
    assert "expires in 19 days" in text


def test_client_certificate_that_ends_soon_raises_a_warning(
    secure_stage: SecureStage, tmp_path: Path
) -> None:
    ca = TrialCa(tmp_path / "ca", "--days", "20")
    secure_stage.connect("sips:srs.example", options=[*ca.trust(), *ca.login()])

    def warnings() -> list[str]:
        alerts = secure_stage.stack.store.alerts(1000)
        return [a.text for a in alerts if a.code == NOT_SECURE and "tls_certificate: " in a.text]

    (text,) = poll(warnings)
    assert "tls_ca: " in text


# Logins


def test_recorders_that_want_a_login_record_with_it(
    secure_stage: SecureStage, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Sesame-7hq2\n")
    digest = ["--digest-user", "us", "--digest-password-file", str(secret)]
    header = ["--credential-header", "X-Key", "--credential-file", str(secret)]
    recorders = [
        secure_stage.recorder_alone("--digest", "us:Sesame-7hq2", "--digest-all"),
        secure_stage.recorder_alone(
            *("--digest", "us:Sesame-7hq2", "--digest-all", "--digest-algorithm", "SHA-256")
        ),
        secure_stage.recorder_alone("--require-header", "X-Key:Sesame-7hq2"),
    ]
    starts = [
        secure_stage.connect(srs.uri, options=options)
        for srs, options in zip(recorders, (digest, digest, header), strict=True)
    ]
    sessions = secure_stage.record(starts, recorders)
    assert [session.summary["verified"]["authentication"] for session in sessions] == [
        "digest MD5",
        "digest SHA-256",
        "header",
    ]
    assert "Sesame" not in secure_stage.stack.log


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_wrong_password_fails_the_stream_with_a_reason(
    secure_stage: SecureStage, tmp_path: Path, algorithm: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Wrong-7hq2")
    srs = secure_stage.recorder_alone("--digest", "us:Right-7hq2", "--digest-algorithm", algorithm)
    options = ["--digest-user", "us", "--digest-password-file", str(secret)]
    caller, callee = secure_stage.begin(secure_stage.connect(srs.uri, options=options))
    stream = secure_stage.wait_stream(caller, StreamState.FAILED)
    (alert,) = secure_stage.alerts(caller)
    assert (alert.code, stream.error_code) == (AUTHENTICATION, AUTHENTICATION)
    assert srs.address in alert.text
    hang_up(caller, callee)
    secure_stage.wait_call_over(caller)
    assert srs.sessions() == []
    assert "-7hq2" not in secure_stage.stack.log


# Keys in clear


def test_keys_leave_in_clear_only_when_said_so(secure_stage: SecureStage) -> None:
    srs = secure_stage.recorder_alone()
    uri = f"{srs.uri};secure=true;transport=tcp"
    refused = secure_stage.stack.cli("connector", "set", "Clear", "--srs", uri, code=None)
    assert refused.returncode == 1
    assert "srs[0].uri: secure=true needs TLS" in refused.stderr
    start = secure_stage.connect(uri, options=["--keys-in-clear"])
    (session,) = secure_stage.record([start], [srs])
    assert session.summary["verified"]["transport"] == "TCP"
    assert protection(session) == [("RTP/SAVP", DEFAULT_SUITE)] * 2


# Calls that are secure themselves


def secure_call(stage: SecureStage, *starts: str) -> tuple[SecurePhone, SecurePhone]:
    """Let two phones be in a call whose media is SRTP."""
    caller, callee = stage.secure_phone("alice"), stage.secure_phone("bob")
    caller.invite(stage.number(*starts, dial(callee)))
    answer(caller, callee)
    return caller, callee


def told(stage: SecureStage, phone: Phone) -> list[tuple[int, AlertLevel, str]]:
    """Give code, level and connector of the alerts about a call, sorted by name."""
    alerts = [(a.code, a.level, a.connector_name or "") for a in stage.alerts(phone)]
    return sorted(alerts, key=lambda alert: alert[2])


def recorded(
    stage: SecureStage, caller: Phone, callee: Phone, srs: ReferenceSrs, count: int
) -> list[Session]:
    """Talk while so many streams record, hang up; give the sessions, oldest first."""
    with Talk(caller, callee) as talking:
        streams = stage.wait_streams(caller, StreamState.RECORDING, count)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    sessions = [stage.wait_session(stream, srs) for stream in streams]
    for session in sessions:
        talking.missing([track.raw for track in session.tracks])
    stage.wait_call_over(caller)
    return sessions


def test_secure_call_to_a_plain_recorder_follows_the_policy(secure_stage: SecureStage) -> None:
    srs = secure_stage.recorder_alone()
    default, allow, refuse = (
        secure_stage.connect(srs.uri, options=options)
        for options in ([], ["--on-secure-call", "allow"], ["--on-secure-call", "refuse"])
    )
    caller, callee = secure_call(secure_stage, default, allow, refuse)
    recorded(secure_stage, caller, callee, srs, 2)
    assert [(NOT_SECURE, level, name) for _, level, name in told(secure_stage, caller)] == [
        (NOT_SECURE, AlertLevel.WARNING, name_of(default)),
        (NOT_SECURE, AlertLevel.ERROR, name_of(refuse)),
    ]
    assert len(srs.sessions()) == 2


def test_secure_call_to_a_secure_recorder_is_sealed_anew(any_secure_stage: SecureStage) -> None:
    srs = any_secure_stage.secure_recorder()
    starts = [
        any_secure_stage.secure_connector(srs.secure_uri, options=options)
        for options in ([], ["--keying", "dtls"], ["--suites", "AEAD_AES_256_GCM"])
    ]
    caller, callee = secure_call(any_secure_stage, *starts)
    sessions = recorded(any_secure_stage, caller, callee, srs, len(starts))
    # The suite of the call itself, the first by default, is left out.
    kinds = [protection(session) for session in sessions]
    assert (kinds[0], kinds[2]) == (
        [("RTP/SAVP", "AES_CM_128_HMAC_SHA1_32")] * 2,
        [("RTP/SAVP", "AEAD_AES_256_GCM")] * 2,
    )
    assert [profile for profile, _ in kinds[1]] == ["UDP/TLS/RTP/SAVP"] * 2
    assert told(any_secure_stage, caller) == []


def test_secure_call_gives_its_own_key_to_a_recorder_only_when_said_so(
    secure_stage: SecureStage,
) -> None:
    srs = secure_stage.secure_recorder()
    default, allow, refuse = (
        secure_stage.secure_connector(srs.secure_uri, options=["--suites", DEFAULT_SUITE, *options])
        for options in ([], ["--on-secure-call", "allow"], ["--on-secure-call", "refuse"])
    )
    caller, callee = secure_call(secure_stage, default, allow, refuse)
    poll(lambda: len(secure_stage.alerts(caller)) == 2)
    assert told(secure_stage, caller) == [
        (NOT_SECURE, AlertLevel.ERROR, name_of(default)),
        (NOT_SECURE, AlertLevel.ERROR, name_of(refuse)),
    ]
    poll(lambda: len(srs.sessions()) == 1)
    hang_up(caller, callee)
    secure_stage.wait_call_over(caller)
    (session,) = srs.sessions()
    assert session.summary["verified"]["transport"] == "TLS"


def name_of(start: str) -> str:
    """Give the name of the connector of a `<Start>` of a stage."""
    return start.split('"')[1]
