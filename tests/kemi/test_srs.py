"""Requests to recorders and answers to theirs, up to what tm is given."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec import events as e
from siprec.connector import Connector, Srs
from siprec.inbox import SrsReplied, SrsRequested
from siprec.model import Call, Leg
from siprec.store import StoreUnavailable
from siprec.tls_profile import tls_profile
from siprec_kemi.runtime import boot_id
from siprec_kemi.src.srs import BAD_CONFIGURATION, UNREACHABLE
from siprec_kemi.src.srs import Srs as SrsSide
from tests.kemi.reach_world import Ways, header_of, listen, port_of, shut
from tests.kemi.recording import Recording
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.pauses import PAUSE
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, FORK_OFFERED, NOW_MS, answer_sdp, answered

HOST = "recorder.example"
UDP = "sip:rec@127.0.0.1:9;transport=udp"
CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", answered_ms=NOW_MS)


class Desk(Ways):
    """The SIP side of a controller with one stream toward `uri`."""

    def __init__(self, folder: Path, ksr: StrictKsr, uri: str = UDP) -> None:
        super().__init__(folder, ksr)
        self.ksr = ksr
        self.hosts.write_text(f"127.0.0.1 {HOST}\n")
        self.connector = Connector(account_sid=ACCOUNT_SID, name="Pool", srs=(Srs(uri=uri),))
        self.loaded.write_text(f"{tls_profile(self.connector).name}\n")
        self.recording = Recording(CALL, self.connector, NOW_MS)
        self.recording.events()
        self.known: Connector | None = self.connector
        self.is_away = False
        self.srs = SrsSide(
            node="n",
            reach=self.reach,
            sender=self.sender,
            recorder=self.recording.recorder,
            connector_of=self._find,
        )

    def _find(self, account_sid: str, name: str) -> Connector | None:
        assert (account_sid, name) == (ACCOUNT_SID, "Pool")
        if self.is_away:
            raise StoreUnavailable("Redis: away")
        return self.known

    def invite(self) -> list[e.LegEvent]:
        """Send the INVITE; give what happened to the leg at once."""
        self.recording.happen(NOW_MS, FORK_OFFERED)
        self.recording.events()
        self.srs.invite(CALL, self.recording.stream, self.recording.leg())
        return self.recording.events()

    def requests(self) -> list[tuple[str, str, str]]:
        """Give method, Request-URI and next hop of what tm was given."""
        sent = self.ksr.named("tm.t_uac_send")
        return [(str(each[0]), str(each[1]), str(each[2])) for each in sent]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIPREC_BOOT", "boot")
    return tmp_path


@contextlib.contextmanager
def desk_toward(uri: str, folder: Path, ksr: StrictKsr) -> Iterator[Desk]:
    with contextlib.closing(Desk(folder, ksr, uri)) as opened:
        yield opened


@pytest.fixture
def desk(folder: Path, ksr: StrictKsr) -> Iterator[Desk]:
    with desk_toward(UDP, folder, ksr) as opened:
        yield opened


def unreachable(text: str, code: int = UNREACHABLE) -> e.SrsUnreachable:
    return e.SrsUnreachable(attempt=1, text=text, code=code)


# Requests of ours


def test_invite_is_sent_to_the_srs(desk: Desk) -> None:
    assert desk.invite() == []
    assert desk.requests() == [("INVITE", UDP, "sip:127.0.0.1:9;transport=udp")]


def test_invite_without_its_connector_fails(desk: Desk) -> None:
    desk.known = None
    assert desk.invite() == [unreachable("its connector was deleted")]
    assert desk.requests() == []


def test_invite_while_redis_is_away_fails(desk: Desk) -> None:
    desk.is_away = True
    assert desk.invite() == [unreachable("Redis: away")]


def test_invite_that_tm_does_not_take_fails(desk: Desk) -> None:
    desk.ksr.returns["tm.t_uac_send"] = -1
    assert desk.invite() == [unreachable("tm could not send the request")]


@pytest.mark.parametrize(
    ("uri", "text", "code"),
    [
        ("sip:a;edge=mars", "there is no [edges.mars] on this node", BAD_CONFIGURATION),
        ("sip:[::1]", "[src] listen has no tcp socket for IPv6", UNREACHABLE),
    ],
)
def test_invite_out_of_reach_fails_with_the_code_that_fits(
    folder: Path, ksr: StrictKsr, uri: str, text: str, code: int
) -> None:
    with desk_toward(uri, folder, ksr) as desk:
        assert desk.invite() == [unreachable(text, code)]


def test_invite_to_a_closed_door_fails_before_tm_is_asked(folder: Path, ksr: StrictKsr) -> None:
    with shut() as closed:
        port = port_of(closed)
        with desk_toward(f"sip:127.0.0.1:{port}", folder, ksr) as desk:
            assert desk.invite() == []
            desk.until(lambda: desk.doors.next_due_s() is None)
            why = f"127.0.0.1:{port}: Connection refused"
            assert desk.recording.events() == [unreachable(why)]
            assert desk.requests() == []


def test_flow_that_failed_is_proved_anew(folder: Path, ksr: StrictKsr) -> None:
    with desk_toward(f"sips:{HOST}", folder, ksr) as desk:
        desk.invite()
        desk.answer_probe(HOST)
        reply = SrsReplied(
            call_id=desk.recording.leg().call_id, method="INVITE", cseq=1, status=503
        )
        desk.srs.flow_failed(reply, desk.recording.stream)
        desk.invite()
        assert [method for method, _, _ in desk.requests()] == ["OPTIONS", "INVITE", "INVITE"]
        desk.srs.flow_failed(replace(reply, status=430), desk.recording.stream)
        desk.invite()
        desk.answer_probe(HOST)
        assert [method for method, _, _ in desk.requests()][3:] == ["OPTIONS", "INVITE"]


def paused(desk: Desk) -> Leg:
    """Let the SRS be about to be told of a pause; give the leg, which is reached directly."""
    desk.recording.record(NOW_MS)
    desk.recording.recorder.happen(desk.recording.sid, PAUSE, NOW_MS)
    desk.recording.happen(NOW_MS, e.ForkAnswered())
    desk.recording.events()
    leg = replace(desk.recording.leg(), route_set=(), remote_target=UDP)
    assert leg.asked is not None
    return leg


def test_reinvite_is_sent_in_the_dialog(desk: Desk) -> None:
    leg = paused(desk)
    desk.srs.ask(CALL, desk.recording.stream, leg)
    assert desk.requests() == [("INVITE", UDP, "sip:127.0.0.1:9;transport=udp")]
    assert desk.recording.events() == []


@pytest.mark.parametrize("why", ["its connector was deleted", "tm could not send the request"])
def test_reinvite_that_cannot_be_sent_has_no_answer(desk: Desk, why: str) -> None:
    leg = paused(desk)
    if why.startswith("tm"):
        desk.ksr.returns["tm.t_uac_send"] = -1
    else:
        desk.known = None
    desk.srs.ask(CALL, desk.recording.stream, leg)
    challenge = e.Challenge(cseq=leg.cseq)
    refused = e.SrsRefused(attempt=1, status=408, reason=why, challenge=challenge, is_timeout=True)
    assert desk.recording.events() == [refused]
    assert desk.recording.leg().refused == ("1", "2")


def test_ack_with_sdp_moves_the_media_and_is_not_answered(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    offer = replace(request(desk, "INVITE"), content_type="", body="")
    desk.srs.take_request(offer, NOW_MS)
    moved = answer_sdp(5000, 5002)
    ack = replace(offer, method="ACK", content_type="application/sdp", body=moved)
    for each in (ack, replace(ack, cseq=offer.cseq + 1), replace(ack, body="", content_type="")):
        desk.srs.take_request(each, NOW_MS)
    events = [event for event in desk.recording.events() if isinstance(event, e.SrsReanswered)]
    assert events == [e.SrsReanswered(sdp=moved)]


def test_bye_that_cannot_be_sent_counts_as_answered(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    desk.recording.happen(NOW_MS, e.Stopped())
    desk.recording.events()
    desk.ksr.returns["tm.t_uac_send"] = -1
    leg = replace(desk.recording.leg(), route_set=(), remote_target=UDP)
    desk.srs.bye(CALL, desk.recording.stream, leg)
    assert desk.recording.events() == [e.SrsByeAnswered(attempt=1, status=408)]
    assert [str(text) for level, text in desk.ksr.named("log") if level == "warn"] == [
        f"{leg.call_id} BYE not sent: tm could not send the request\n"
    ]


def test_requests_in_the_dialog_go_without_the_connector_as_well(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    desk.is_away = True
    leg = replace(desk.recording.leg(), route_set=(), remote_target=UDP)
    desk.srs.options(desk.recording.stream, leg)
    desk.srs.bye(CALL, desk.recording.stream, leg)
    assert [method for method, _, _ in desk.requests()] == ["OPTIONS", "BYE"]


def test_request_in_the_dialog_goes_to_the_first_of_the_route_set(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    leg = replace(
        desk.recording.leg(),
        remote_target="sip:far@192.0.2.9;transport=udp",
        route_set=("<sip:127.0.0.1:7;transport=udp;lr>", "<sip:192.0.2.7;lr>"),
    )
    desk.srs.options(desk.recording.stream, leg)
    assert desk.requests() == [
        ("OPTIONS", "sip:far@192.0.2.9;transport=udp", "sip:127.0.0.1:7;transport=udp")
    ]


def test_request_in_the_dialog_goes_on_as_the_invite_went(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    leg = replace(desk.recording.leg(), route_set=(), remote_target="sip:rec@127.0.0.1:9")
    desk.srs.options(desk.recording.stream, leg)
    assert desk.requests() == [("OPTIONS", "sip:rec@127.0.0.1:9", "sip:127.0.0.1:9;transport=udp")]


def test_uri_of_the_srs_that_cannot_be_used_is_told(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    leg = replace(desk.recording.leg(), route_set=(), remote_target="tel:+1555")
    desk.srs.options(desk.recording.stream, leg)
    assert desk.requests() == []
    (text,) = [str(text) for level, text in desk.ksr.named("log") if level == "info"]
    assert text.startswith(f"{leg.call_id} OPTIONS not sent: ")


def test_dialog_that_nobody_wants_is_hung_up(desk: Desk) -> None:
    late = replace(answered(2), remote_target=UDP, route_set=())
    desk.srs.drop_late(desk.recording.stream, desk.recording.leg(), late)
    desk.srs.drop_stranger("SR0-1-1", late)
    assert [method for method, _, _ in desk.requests()] == ["ACK", "BYE"] * 2
    call_ids = [header_of(headers, "Call-ID") for headers in desk.sent("BYE")]
    assert call_ids == [f"{desk.recording.sid}-1-2", "SR0-1-1"]


# Requests of the SRS


def request(desk: Desk, method: str, **more: object) -> SrsRequested:
    """Give a request of the SRS in the dialog of the leg."""
    leg = desk.recording.leg()
    made = SrsRequested(
        node="n",
        boot=boot_id(),
        index=1,
        label=2,
        method=method,
        call_id=leg.call_id,
        from_tag=leg.to_tag,
        to_tag=leg.from_tag,
        cseq=1,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_bye_of_the_srs_is_answered_after_it_happened(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    desk.recording.events()
    desk.srs.take_request(request(desk, "BYE"), NOW_MS)
    assert [type(each) for each in desk.recording.events()] == [e.SrsHungUp]
    assert desk.srs.has_answers
    assert desk.ksr.named("tmx.t_continue") == []
    desk.srs.send_answers()
    assert [each[:2] for each in desk.ksr.named("tmx.t_continue")] == [(1, 2)]
    assert not desk.srs.has_answers


def test_request_in_no_dialog_of_ours_is_refused_without_a_contact(desk: Desk) -> None:
    desk.ksr.inside["tmx.t_continue"] = desk.sender.answer_now
    desk.srs.take_request(request(desk, "OPTIONS", call_id="stranger"), NOW_MS)
    desk.srs.send_answers()
    ((status, _),) = desk.ksr.named("tm.t_reply")
    assert status == 481
    assert desk.ksr.named("hdr.append_to_reply") == []


def test_answer_of_a_2xx_has_the_contact_that_the_srs_knows_us_by(desk: Desk) -> None:
    desk.recording.record(NOW_MS)
    desk.ksr.inside["tmx.t_continue"] = desk.sender.answer_now
    desk.srs.take_request(request(desk, "OPTIONS"), NOW_MS)
    desk.srs.send_answers()
    assert [status for status, _ in desk.ksr.named("tm.t_reply")] == [200]
    contact = "Contact: <sip:siprec@127.0.0.1:5070;transport=udp>;+sip.src\r\n"
    assert (contact,) in desk.ksr.named("hdr.append_to_reply")


@pytest.mark.parametrize("elsewhere", [{"node": "m"}, {"boot": "another life"}])
def test_answer_for_another_life_of_kamailio_is_void(desk: Desk, elsewhere: dict[str, str]) -> None:
    desk.srs.take_request(request(desk, "OPTIONS", **elsewhere), NOW_MS)
    desk.srs.send_answers()
    assert (desk.ksr.named("tmx.t_continue"), desk.srs.has_answers) == ([], False)


def test_answer_that_comes_too_late_is_logged(desk: Desk) -> None:
    desk.ksr.returns["tmx.t_continue"] = -1
    desk.srs.take_request(request(desk, "OPTIONS"), NOW_MS)
    desk.srs.send_answers()
    call_id = desk.recording.leg().call_id
    assert ("warn", f"{call_id} OPTIONS: answered too late\n") in desk.ksr.named("log")


def test_request_over_tcp_goes_on_over_tcp(folder: Path, ksr: StrictKsr) -> None:
    with listen() as recorder:
        uri = f"sip:127.0.0.1:{port_of(recorder)};transport=tcp"
        with desk_toward(uri, folder, ksr) as desk:
            desk.recording.record(NOW_MS)
            leg = replace(desk.recording.leg(), route_set=(), remote_target=uri)
            desk.srs.options(desk.recording.stream, leg)
            desk.until(desk.requests)
            assert desk.requests() == [("OPTIONS", uri, uri.replace("rec@", ""))]
