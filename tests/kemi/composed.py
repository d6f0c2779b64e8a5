"""Requests to an SRS as they are composed, for tests to look at."""

from siprec.connector import Connector, Srs
from siprec.model import Call, Leg, Party, Stream, StreamOrder, StreamState
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import Address
from siprec_kemi.src.requests import Hop, Outgoing
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, PATHS, begun, follow

HOP = Hop(
    uri="sip:192.0.2.1:5080;transport=tcp",
    ours=Address("tcp:198.51.100.1:5070", "src.example:5070"),
    us="sip:siprec@src.example:5070;transport=tcp",
)
CALL = Call(
    sid=CALL_SID,
    account_sid=ACCOUNT_SID,
    sip_call_id="a!b@192.0.2.7",
    caller=Party(name='Zoë "!" <&> O\'Neil', uri="sip:+1!5@a.example", tag="tagA"),
    callee=Party(name="", uri="sip:bob@b.example", tag="tagB"),
    session_id="ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
    rtpengine="127.0.0.1:2223",
    started_ms=NOW_MS - 5_000,
    answered_ms=NOW_MS,
)
PLAIN = Connector(account_sid=ACCOUNT_SID, name="Default", srs=(Srs(uri="sip:s"),))
ORDER = StreamOrder(name="main", parameters=(("X-Case", "50% !done"), ("X-Agent", "Zoë <1>")))


def stream_in(state: StreamState, order: StreamOrder = ORDER) -> Stream:
    return follow(begun(order).stream, PATHS[state]).stream


def leg_in(state: StreamState) -> Leg:
    (leg,) = stream_in(state).legs
    return leg


def invite(leg: Leg | None = None, connector: Connector = PLAIN, hop: Hop = HOP) -> Outgoing:
    stream = stream_in(StreamState.INVITING)
    leg = leg or leg_in(StreamState.INVITING)
    return requests.invite(CALL, stream, leg, connector, hop, NOW_MS)


def bye(leg: Leg | None = None, connector: Connector | None = PLAIN, hop: Hop = HOP) -> Outgoing:
    stream = stream_in(StreamState.STOPPING)
    leg = leg or leg_in(StreamState.STOPPING)
    return requests.bye(CALL, stream, leg, connector, hop, NOW_MS + 9_000)


def shown(request: Outgoing) -> str:
    """Write a request as it is for the golden files, line ends as LF."""
    head = f"{request.method} {request.uri}\n-> {request.next_hop} from {request.socket}\n"
    text = head + request.headers + "".join(request.risky_headers) + "\n" + request.body
    return text.replace("\r\n", "\n")


def headers_of(request: Outgoing) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in request.headers.splitlines())
