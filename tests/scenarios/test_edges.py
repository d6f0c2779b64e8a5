"""Two edges: what goes to a recorder leaves from the named one, and from no other address."""

from dataclasses import replace
from pathlib import Path

import pytest

from siprec.alerts import AlertLevel
from siprec.connector import Connector, Srs
from siprec.model import StreamState
from tests.scenarios.capture import Capture, Packet
from tests.scenarios.phone import hang_up
from tests.scenarios.secure_stage import EDGES, SecureStage
from tests.scenarios.srs import ReferenceSrs

pytestmark = pytest.mark.daemon

# The kind of packets, and a port.
Door = tuple[str, int]

BAD_CONFIGURATION = 31942


def uris(srs: ReferenceSrs, edge: str) -> list[str]:
    """Give the URIs of a recorder for UDP, TCP and TLS from an edge."""
    plain = [f"{srs.uri};transport={transport};edge={edge}" for transport in ("udp", "tcp")]
    return [*plain, f"{srs.secure_uri};edge={edge}"]


def test_signalling_and_media_leave_from_the_named_edge(
    secure_stage: SecureStage, tmp_path: Path
) -> None:
    ports = secure_stage.free_ports(2 * 40)
    halves = {"a": ports[:40], "b": ports[40:]}
    recorders = {
        edge: secure_stage.secure_recorder(
            "--options-after", "0.1", "--rtp-ports", f"{half[0]}-{half[-1]}"
        )
        for edge, half in halves.items()
    }
    sip = {edge: sip_doors(srs) for edge, srs in recorders.items()}
    sip_ports = [port for doors in sip.values() for _, port in doors]
    wanted = [(edge, uri) for edge, srs in recorders.items() for uri in uris(srs, edge)]
    with Capture(tmp_path, [*ports, *sip_ports]) as capture:
        starts = [
            secure_stage.connect(uri, options=secure_stage.ca.trust() if "secure" in uri else [])
            for _, uri in wanted
        ]
        sessions = secure_stage.record(starts, [recorders[edge] for edge, _ in wanted])
    for (edge, _), session in zip(wanted, sessions, strict=True):
        assert EDGES[edge] in session.headers("Contact")[0]
        sent = session.summary["sent_requests"]
        assert [(each["method"], each["status"]) for each in sent] == [("OPTIONS", 200)]
    for edge, host in EDGES.items():
        assert peers(capture.packets, sip[edge]) == {(*door, host) for door in sip[edge]}
        media = peers(capture.packets, [("udp", port) for port in halves[edge]])
        assert {peer for _, _, peer in media} == {host}
        # RTP and RTCP of two parties in each of three sessions; not all send RTCP so soon.
        assert len(media) >= 6


def sip_doors(srs: ReferenceSrs) -> list[Door]:
    """Give where a recorder takes SIP."""
    plain, tls = (int(each.rpartition(":")[2]) for each in (srs.address, srs.tls_address))
    return [("udp", plain), ("tcp", plain), ("tcp", tls)]


def peers(packets: list[Packet], doors: list[Door]) -> set[tuple[str, int, str]]:
    """Give who talked with these doors of 127.0.0.1, in either direction."""
    found = set()
    for packet in packets:
        for one, other in ((packet.source, packet.target), (packet.target, packet.source)):
            if one[0] == "127.0.0.1" and (packet.kind, one[1]) in doors:
                found.add((packet.kind, one[1], other[0]))
    return found


def test_edge_that_is_unknown_is_refused_when_a_connector_is_set(
    secure_stage: SecureStage,
) -> None:
    uri = "sip:recorder@127.0.0.1:5060;edge=nowhere"
    refused = secure_stage.stack.cli("connector", "set", "Edge", "--srs", uri, code=None)
    assert refused.returncode == 1
    assert "the edge nowhere is unknown (known: a, b, nat)" in refused.stderr


def test_edge_that_is_gone_fails_the_stream_and_names_the_edge(secure_stage: SecureStage) -> None:
    srs = secure_stage.recorder_alone()
    start = secure_stage.connect(srs.uri)
    account_sid = secure_stage.stack.runtime.settings.account.sid
    assert account_sid
    store = secure_stage.stack.store
    connector = store.connector(account_sid, start.split('"')[1])
    assert isinstance(connector, Connector)
    moved = (Srs(uri=f"{srs.uri};edge=nowhere"),)
    # As a node of a cluster sees it whose siprec.toml is another.
    store.put_connector(replace(connector, srs=moved, options_s=0))
    caller, callee = secure_stage.begin(start)
    stream = secure_stage.wait_stream(caller, StreamState.FAILED)
    (alert,) = secure_stage.alerts(caller)
    assert (alert.code, alert.level) == (BAD_CONFIGURATION, AlertLevel.ERROR)
    assert "edges.nowhere" in alert.text
    assert stream.error_code == BAD_CONFIGURATION
    hang_up(caller, callee)
    secure_stage.wait_call_over(caller)
    assert srs.sessions() == []
