"""What an SRS keeps of what it was told about a session."""

from pathlib import Path

from siprec_srs.agreement import Agreement
from siprec_srs.checks import Findings
from siprec_srs.known import Known
from siprec_srs.metadata import check
from siprec_srs.multipart import Part, Parts
from siprec_srs.summary import Summary
from tests.srs.documents import ALICE, COMPLETE, PARTIAL, STREAM_1


def metadata(body: str, known: Known) -> Findings:
    """Give what an examination finds in a message with nothing but metadata."""
    part = Part(content_type="application/rs-metadata+xml", disposition="", body=body.encode())
    parts = Parts(is_mixed=False, sdp=None, metadata=part)
    verdict = check(part.body, known, None)
    assert verdict.errors == []
    return Findings(parts=parts, verdict=verdict)


def test_participant_after_disassociation_is_who_spoke_last(tmp_path: Path) -> None:
    summary = Summary(folder=tmp_path, call_id="1", from_="", to="", user_agent="", headers=[])
    agreement = Agreement(summary)
    agreement.keep(metadata(COMPLETE, agreement.known), "INVITE")
    over = f"""<participantstreamassoc participant_id="{ALICE}"><send>{STREAM_1}</send>
        <disassociate-time>2026-11-22T19:05:00Z</disassociate-time>
        </participantstreamassoc></recording>"""
    final = PARTIAL.replace("</recording>", over)
    agreement.keep(metadata(final, agreement.known), "BYE")
    assert agreement.known.speakers("1") == []
    assert agreement.participant("1") == {"aor": "sip:alice@example.com", "name": 'Alice & "Co" ü'}
    assert agreement.participant("2") == {"aor": "tel:+15551000", "name": ""}
    assert agreement.participant("3") is None
