"""The controller's way to the wire, through tm."""

import json

import pytest

from siprec.srs_dialog import Answer
from siprec_kemi.src.requests import Outgoing
from siprec_kemi.src.sender import Sender
from tests.kemi.strict_ksr import StrictKsr

REQUEST = Outgoing(
    method="INVITE",
    uri="sip:srs",
    next_hop="sip:192.0.2.1:5060;transport=tcp",
    socket="tcp:192.0.2.2:5070",
    headers="From: <sip:a>\r\n",
    risky_headers=("X-A: !\r\n", "X-B: b\r\n"),
    body="body",
    invite_ms=10_000,
    reply_ms=5_000,
)
CONTACT = "<sip:siprec@h>;+sip.src"


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_request_is_prepared_inside_its_sending(sender: Sender, ksr: StrictKsr) -> None:
    ksr.inside["tm.t_uac_send"] = sender.prepare
    assert sender.send(REQUEST)
    assert ksr.named("tm.t_uac_send") == [
        ("INVITE", "sip:srs", REQUEST.next_hop, REQUEST.socket, REQUEST.headers, "body")
    ]
    assert ksr.named("tm.t_set_fr") == [(10_000, 5_000)]
    assert ksr.named("hdr.append") == [("X-A: !\r\n",), ("X-B: b\r\n",)]
    assert ksr.named("tm.t_on_reply") == [("ksr_srs_reply",)]
    assert ksr.named("tm.t_on_failure") == [("ksr_srs_failure",)]


def test_request_of_tm_itself_gets_handlers_and_nothing_of_the_last_one(
    sender: Sender, ksr: StrictKsr
) -> None:
    sender.send(REQUEST)
    sender.prepare()
    assert not ksr.named("hdr.append")
    assert not ksr.named("tm.t_set_fr")
    assert ksr.named("tm.t_on_reply") == [("ksr_srs_reply",)]


def test_request_that_tm_refuses_is_told(sender: Sender, ksr: StrictKsr) -> None:
    ksr.returns["tm.t_uac_send"] = -1
    assert not sender.send(REQUEST)


def test_cancel_names_call_id_and_number(sender: Sender, ksr: StrictKsr) -> None:
    sender.cancel("SR1-1", 1)
    ((request,),) = ksr.named("jsonrpcs.exec")
    assert json.loads(str(request))["method"] == "tm.cancel"
    assert json.loads(str(request))["params"] == ["SR1-1", "1"]


def test_answer_is_sent_inside_its_transaction(sender: Sender, ksr: StrictKsr) -> None:
    ksr.inside["tmx.t_continue"] = sender.answer_now
    answer = Answer(status=200, reason="OK", headers={"Allow": "BYE"}, sdp="v=0")
    assert sender.answer(1, 2, answer, CONTACT)
    assert ksr.named("tmx.t_continue") == [(1, 2, "ksr_srs_continue")]
    assert ksr.named("hdr.append_to_reply") == [(f"Contact: {CONTACT}\r\n",), ("Allow: BYE\r\n",)]
    assert ksr.named("textops.set_reply_body") == [("v=0", "application/sdp")]
    assert ksr.named("tm.t_reply") == [(200, "OK")]


def test_refusal_has_no_contact_and_no_body(sender: Sender, ksr: StrictKsr) -> None:
    ksr.inside["tmx.t_continue"] = sender.answer_now
    sender.answer(1, 2, Answer(status=481, reason="No"), CONTACT)
    assert not ksr.named("hdr.append_to_reply")
    assert not ksr.named("textops.set_reply_body")
    assert ksr.named("tm.t_reply") == [(481, "No")]


def test_transaction_continued_without_an_answer_is_refused(sender: Sender, ksr: StrictKsr) -> None:
    sender.answer_now()
    assert ksr.named("tm.t_reply") == [(500, "Server Internal Error")]
