"""Inbox entries: every kind goes through Redis fields and back."""

from dataclasses import replace

import pytest

from siprec import inbox as i
from siprec.model import Call, Party, StreamOrder, Track
from siprec.record import RecordError
from siprec.vault import Vault
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, STREAM_SID

SUITE = "AES_CM_128_HMAC_SHA1_80"
CALL = Call(
    sid=CALL_SID,
    account_sid=ACCOUNT_SID,
    sip_call_id="a@b",
    caller=Party(name="Ünï & <Co>", uri="sip:a@b", tag="a"),
)
REQUESTED = i.SrsRequested(
    node="n",
    boot="b",
    index=1,
    label=2,
    method="BYE",
    call_id="c",
    from_tag="f",
    to_tag="t",
    cseq=3,
)
REPLIED = i.SrsReplied(call_id="c", method="INVITE", cseq=1, status=200, routes=("<r>",))
ENTRIES: dict[str, i.Entry] = {
    "call-answered": i.CallAnswered(
        call=CALL,
        orders=(StreamOrder(name="main", parameters=(("X-Id", "1"),)),),
        notices=(i.Notice(code=31952, text="no such stream"),),
    ),
    "call-ringing": i.CallRinging(call=CALL),
    "call-failed": i.CallFailed(call=CALL),
    "call-referred": i.CallReferred(call_sid=CALL_SID, target="sip:c@h", referred_by="sip:a@h"),
    "call-changed": i.CallChanged(call_sid=CALL_SID, at_ms=5),
    "bye-answered": i.ByeAnswered(call_sid=CALL_SID, from_tag="a", to_tag="b", status=200, at_ms=5),
    "call-hung-up": i.CallHungUp(call_sid=CALL_SID, at_ms=5),
    "start-ordered": i.StartOrdered(request_id="r", call_sid=CALL_SID, order=StreamOrder()),
    "stop-ordered": i.StopOrdered(request_id="r", stream_sid=STREAM_SID),
    "pause-ordered": i.PauseOrdered(
        request_id="r", stream_sid=STREAM_SID, track=Track.INBOUND, is_resumed=True
    ),
    "command-refused": i.CommandRefused(
        request_id="r", code=12200, text="why", call_sid=CALL_SID, stream_sid=STREAM_SID
    ),
    "call-not-ended": i.CallNotEnded(call_sid="CA1", account_sid="AC1", text="why"),
    "callback-failed": i.CallbackFailed(call_sid="CA1", account_sid="AC1", code=15003, text="why"),
    "document-failed": i.DocumentFailed(call_sid="CA1", account_sid="AC1", code=11200, text="why"),
    "reports-dropped": i.ReportsDropped(node="n", count=3, at_ms=5),
    "srs-requested": REQUESTED,
    "srs-replied": REPLIED,
}


def test_every_kind_has_a_sample() -> None:
    assert {type(entry) for entry in ENTRIES.values()} == set(i.Entry.__args__)


@pytest.mark.parametrize("kind", ENTRIES)
def test_entry_comes_back_from_its_fields_as_it_was(kind: str) -> None:
    fields = i.to_fields(ENTRIES[kind])
    assert fields["t"] == kind
    assert i.from_fields(fields) == ENTRIES[kind]


def test_body_with_keys_is_sealed_and_one_without_is_not(vault: Vault) -> None:
    entries: tuple[i.SrsRequested | i.SrsReplied, ...] = (REQUESTED, REPLIED)
    for entry in entries:
        plain = replace(entry, body="v=0\r\na=recvonly\r\n")
        assert "a=recvonly" in i.to_fields(plain, vault.seal)["d"]
        keyed = replace(entry, body=f"v=0\r\na=crypto:1 {SUITE} inline:KEY\r\n\udcff")
        fields = i.to_fields(keyed, vault.seal)
        assert "KEY" not in fields["d"]
        assert i.from_fields(fields, vault.unseal) == keyed
        with pytest.raises(RecordError, match="body: is sealed, and no vault is at hand"):
            i.from_fields(fields)
        with pytest.raises(RecordError, match="holds secrets"):
            i.to_fields(keyed)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "is no kind of inbox entry"),
        ({"t": "call-eaten", "d": "{}"}, "'call-eaten' is no kind of inbox entry"),
        ({"t": "stop-ordered"}, "not JSON"),
        ({"t": "stop-ordered", "d": "{}"}, "request_id: is missing"),
        ({"t": "stop-ordered", "d": '{"request_id": 1, "stream_sid": ""}'}, "is not str"),
    ],
)
def test_entry_that_fits_no_kind_is_refused(fields: dict[str, str], why: str) -> None:
    with pytest.raises(RecordError, match=why):
        i.from_fields(fields)
