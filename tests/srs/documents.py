"""What an SRC sends, written by hand for the tests: SDP, metadata, multipart, INVITE."""

SESSION = "hVpd7YQgRW2nD22h7q60JQ=="
ALICE = "srfBElmCRp2QB23b7Mpk0w=="
BOB = "zSfPoSvdSDCmU3A3TRDxAw=="
STREAM_1 = "UAAMm5GRQKSCMVvLyl4rFw=="
STREAM_2 = "i1Pz3to5hGk8fuXl+PbwCw=="
GROUP = "7+OTCyoxTmqmqyA/1weDAg=="

COMPLETE = f"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="{GROUP}"><associate-time>2026-11-22T19:00:00Z</associate-time></group>
  <session session_id="{SESSION}">
    <group-ref>{GROUP}</group-ref>
    <start-time>2026-11-22T19:00:00.123Z</start-time>
  </session>
  <participant participant_id="{ALICE}">
    <nameID aor="sip:alice@example.com"><name xml:lang="en">Alice &amp; "Co" ü</name></nameID>
  </participant>
  <participant participant_id="{BOB}"><nameID aor="tel:+15551000"/></participant>
  <stream stream_id="{STREAM_1}" session_id="{SESSION}"><label>1</label></stream>
  <stream stream_id="{STREAM_2}" session_id="{SESSION}"><label>2</label></stream>
  <sessionrecordingassoc session_id="{SESSION}">
    <associate-time>2026-11-22T19:00:00+01:00</associate-time>
  </sessionrecordingassoc>
  <participantsessionassoc participant_id="{ALICE}" session_id="{SESSION}"/>
  <participantsessionassoc participant_id="{BOB}" session_id="{SESSION}"/>
  <participantstreamassoc participant_id="{ALICE}">
    <send>{STREAM_1}</send><recv>{STREAM_2}</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="{BOB}">
    <send>{STREAM_2}</send><recv>{STREAM_1}</recv>
  </participantstreamassoc>
  <siprec:parameters xmlns:siprec="urn:kamailio-siprec:parameters:1">
    <siprec:parameter name="Custom1">Bob</siprec:parameter>
    <siprec:parameter name="Empty"></siprec:parameter>
  </siprec:parameters>
</recording>
"""

PARTIAL = f"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>partial</datamode>
  <session session_id="{SESSION}"><stop-time>2026-11-22T19:05:00Z</stop-time></session>
  <participantsessionassoc participant_id="{ALICE}" session_id="{SESSION}">
    <disassociate-time>2026-11-22T19:05:00Z</disassociate-time>
  </participantsessionassoc>
</recording>
"""

BOUNDARY = "next-part"


def partial(*elements: str) -> str:
    """Write a partial document of elements in the right order."""
    return (
        '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>'
        f"{''.join(elements)}</recording>"
    )


def write_sdp(
    ports: tuple[int, ...],
    *,
    version: int = 1,
    formats: str = "0 8",
    direction: str = "sendonly",
) -> str:
    """Offer one labelled m-line for each port; labels are 1, 2, …"""
    lines = ["v=0", f"o=src 77 {version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    for label, port in enumerate(ports, 1):
        lines += [f"m=audio {port} RTP/AVP {formats}", "a=rtpmap:0 PCMU/8000"]
        lines += ["a=rtpmap:8 PCMA/8000", f"a={direction}", f"a=label:{label}"]
    return "\r\n".join(lines) + "\r\n"


def write_mixed(
    sdp: str,
    metadata: str,
    *,
    kind: str = "application/rs-metadata+xml",
    disposition: str = "recording-session",
) -> bytes:
    """Write a multipart/mixed body."""
    return (
        f"--{BOUNDARY}\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n"
        f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Disposition: {disposition}\r\n\r\n"
        f"{metadata}\r\n--{BOUNDARY}--\r\n"
    ).encode()
