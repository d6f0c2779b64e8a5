"""TwiML documents: what a called number follows, checked and compiled once.

    Response > Start > Siprec > Parameter, Stop > Siprec, Dial > Number | Sip,
               Pause, Reject, Redirect, Hangup

Element names are case-sensitive, as the builders of the TwiML world write them.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

from lxml import etree

from siprec import orders
from siprec.errors import OrderError, SipUriError
from siprec.errors import TwimlError as TwimlError
from siprec.model import CallbackMethod, StreamOrder, Track
from siprec.numbers import is_number
from siprec.orders import check_order as check_order
from siprec.sip_uri import parse_uri
from siprec.twiml_run import Action as Action
from siprec.twiml_run import Advance as Advance
from siprec.twiml_run import DialOut as DialOut
from siprec.twiml_run import Fetch as Fetch
from siprec.twiml_run import Program as Program
from siprec.twiml_run import Refuse as Refuse
from siprec.twiml_run import RejectReason as RejectReason
from siprec.twiml_run import Source as Source
from siprec.twiml_run import Step as Step
from siprec.twiml_run import Target as Target
from siprec.twiml_run import TargetKind as TargetKind
from siprec.twiml_run import Verb as Verb
from siprec.twiml_run import Wait as Wait
from siprec.twiml_run import advance as advance

MAX_DOCUMENT_BYTES = 65_536
MAX_TARGETS = 10
MAX_URL_CHARS = 4096

_NOT_XML = 12100
_BAD_SCHEMA = 12200
_BAD_TRACK = 31941

E = TypeVar("E", bound=StrEnum)

# What people bring along from Twilio that only an endpoint, not a proxy, could do.
_ENDPOINT_ATTRIBUTES = """
    action method callerId hangupOnStar timeLimit record recordingStatusCallback
    recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack trim
    answerOnBridge ringTone sequential referUrl referMethod events
"""
_DIAL_IN_ENDPOINTS = frozenset(_ENDPOINT_ATTRIBUTES.split())
_FIELD_ATTRIBUTES = {
    "name": "name",
    "connector_name": "connectorName",
    "status_callback": "statusCallback",
}


def compile_document(text: bytes) -> Program:
    """Parse and check a document. The program keeps no reference to it.

    Raises:
        TwimlError: the document cannot be followed; names line, element and attribute.
    """
    root = _parse(text)
    if _tag(root) != "Response":
        raise _fault(root, "the document must be one <Response>")
    _attributes(root)
    steps: list[Step] = []
    for child in _children(root):
        verb = _VERBS.get(_tag(child))
        if verb is None:
            raise _fault(child, f"is not known here; known are {', '.join(_VERBS)}")
        steps.extend(verb(child))
    return Program(steps=tuple(steps))


def _parse(text: bytes) -> etree._Element:
    if len(text) > MAX_DOCUMENT_BYTES:
        raise TwimlError(_NOT_XML, f"the document is over {MAX_DOCUMENT_BYTES} bytes")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise TwimlError(_NOT_XML, "is not UTF-8", line=line) from error
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise TwimlError(_NOT_XML, f"not XML: {error.msg}", line=error.lineno or 0) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise TwimlError(_NOT_XML, "a document type (DTD) is not allowed")
    return root


def _start(element: etree._Element) -> Iterator[Step]:
    _attributes(element)
    for child in _children(element, "Siprec", required=True):
        yield Step(do=Verb.START, order=_order(child), line=_line(child))


def _stop(element: etree._Element) -> Iterator[Step]:
    _attributes(element)
    for child in _children(element, "Siprec", required=True):
        name = _attributes(child, "name").get("name", "")
        _empty(child)
        if not name:
            raise _fault(child, "is required: the name of the stream to stop", "name")
        if why := orders.stream_name_fault(name):
            raise _fault(child, why, "name")
        yield Step(do=Verb.STOP, name=name, line=_line(child))


def _order(element: etree._Element) -> StreamOrder:
    given = _attributes(
        element, "name", "connectorName", "track", "statusCallback", "statusCallbackMethod"
    )
    order = StreamOrder(
        name=given.get("name", ""),
        connector_name=given.get("connectorName", "Default"),
        track=_choice(element, "track", Track.BOTH, _BAD_TRACK),
        status_callback=given.get("statusCallback"),
        status_callback_method=_choice(element, "statusCallbackMethod", CallbackMethod.POST),
        parameters=tuple(_parameter(child) for child in _children(element, "Parameter")),
    )
    try:
        check_order(order)
    except OrderError as error:
        # Alone, each parameter was well: what is left is a name that stands twice, or too many.
        attribute = _FIELD_ATTRIBUTES.get(error.field)
        why = error.why if attribute else f"parameters: {error.why}"
        raise _fault(element, why, attribute, error.code) from error
    return order


def _parameter(element: etree._Element) -> tuple[str, str]:
    given = _attributes(element, "name", "value")
    _empty(element)
    for attribute in ("name", "value"):
        if attribute not in given:
            raise _fault(element, "is required", attribute)
    name, value = given["name"], given["value"]
    try:
        orders.check_parameter(name, value)
    except OrderError as error:
        attribute = "value" if error.code == orders.BAD_PARAMETER_VALUE else "name"
        raise _fault(element, error.why, attribute, error.code) from error
    return name, value


def _dial(element: etree._Element) -> Iterator[Step]:
    for attribute in element.attrib:
        if attribute in _DIAL_IN_ENDPOINTS:
            raise _fault(element, "is not supported in a proxy", str(attribute))
    _attributes(element, "timeout")
    text = _text(element)
    if len(element) and (text or any((child.tail or "").strip() for child in element)):
        raise _fault(element, "must hold a number, or <Number> and <Sip>, not both")
    targets = tuple(_target(child) for child in element) or (_number(element, text),)
    if len(targets) > MAX_TARGETS:
        raise _fault(element, f"rings more than {MAX_TARGETS} targets")
    timeout_s = _integer(element, "timeout", 1, 600, 30)
    yield Step(do=Verb.DIAL, targets=targets, timeout_s=timeout_s, line=_line(element))


def _target(element: etree._Element) -> Target:
    _attributes(element)
    if len(element):
        raise _fault(element[0], f"is not known in <{_tag(element)}>")
    text = _text(element)
    if _tag(element) == "Number":
        return _number(element, text)
    if _tag(element) != "Sip":
        raise _fault(element, "is not known in <Dial>; known are Number, Sip")
    try:
        uri = parse_uri(text)
    except SipUriError as error:
        raise _fault(element, str(error)) from error
    if uri.scheme != "sip" or uri.headers:
        raise _fault(element, "must be a sip: URI without headers; sips: is not supported yet")
    return Target(kind=TargetKind.SIP, value=text)


def _number(element: etree._Element, text: str) -> Target:
    if not text:
        raise _fault(element, "is empty; a number is required")
    if not is_number(text):
        raise _fault(element, f"{text[:40]!r} is not a number: a space or another bad character")
    return Target(kind=TargetKind.NUMBER, value=text)


def _pause(element: etree._Element) -> Iterator[Step]:
    _attributes(element, "length")
    _empty(element)
    length_s = _integer(element, "length", 0, 180, 1)
    yield Step(do=Verb.PAUSE, length_s=length_s, line=_line(element))


def _reject(element: etree._Element) -> Iterator[Step]:
    _attributes(element, "reason")
    _empty(element)
    reason = _choice(element, "reason", RejectReason.REJECTED)
    yield Step(do=Verb.REJECT, reason=reason, line=_line(element))


def _redirect(element: etree._Element) -> Iterator[Step]:
    _attributes(element, "method")
    method = _choice(element, "method", CallbackMethod.POST)
    if len(element):
        raise _fault(element[0], "is not known in <Redirect>, which holds a URL")
    url = _text(element)
    if why := _url_fault(url):
        raise _fault(element, why)
    yield Step(do=Verb.REDIRECT, source=Source(url=url, method=method), line=_line(element))


def _url_fault(url: str) -> str:
    """Say why a URL, which may be relative to that of the document, cannot be one."""
    if not url:
        return "is empty; a URL is required"
    if len(url) > MAX_URL_CHARS:
        return f"is over {MAX_URL_CHARS} characters"
    scheme, colon, _ = url.partition(":")
    if colon and scheme.isalpha() and scheme.lower() not in ("http", "https"):
        return f"{url[:40]!r} does not begin with http:// or https://"
    return ""


def _hangup(element: etree._Element) -> Iterator[Step]:
    _attributes(element)
    _empty(element)
    yield Step(do=Verb.HANGUP, line=_line(element))


_VERBS: Mapping[str, Callable[[etree._Element], Iterator[Step]]] = {
    "Start": _start,
    "Stop": _stop,
    "Dial": _dial,
    "Pause": _pause,
    "Reject": _reject,
    "Redirect": _redirect,
    "Hangup": _hangup,
}


def _attributes(element: etree._Element, *known: str) -> dict[str, str]:
    if element.nsmap:
        raise _fault(element, "namespaces are not allowed")
    given = {str(name): str(value) for name, value in element.attrib.items()}
    for name in given:
        if name not in known:
            raise _fault(element, "is not a known attribute", name)
    return given


def _children(
    element: etree._Element, only: str | None = None, *, required: bool = False
) -> Iterator[etree._Element]:
    if _text(element) or any((child.tail or "").strip() for child in element):
        raise _fault(element, "must not hold text")
    if required and not len(element):
        raise _fault(element, f"must hold <{only}>")
    for child in element:
        if only and _tag(child) != only:
            raise _fault(child, f"is not known in <{_tag(element)}>; known is {only}")
        yield child


def _empty(element: etree._Element) -> None:
    for child in _children(element):
        raise _fault(child, f"is not known in <{_tag(element)}>, which must be empty")


def _choice(element: etree._Element, attribute: str, default: E, code: int = _BAD_SCHEMA) -> E:
    value = element.get(attribute)
    if value is None:
        return default
    try:
        return type(default)(value)
    except ValueError:
        choices = ", ".join(member.value for member in type(default))
        why = f"{value[:40]!r} is none of {choices}"
        raise _fault(element, why, attribute, code) from None


def _integer(element: etree._Element, attribute: str, low: int, high: int, default: int) -> int:
    text = str(element.get(attribute, default)).strip()
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not low <= value <= high:
        raise _fault(element, f"must be a whole number from {low} to {high}", attribute)
    return value


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _tag(element: etree._Element) -> str:
    return str(element.tag)


def _line(element: etree._Element) -> int:
    line: object = element.sourceline
    return line if isinstance(line, int) else 0


def _fault(
    element: etree._Element, why: str, attribute: str | None = None, code: int = _BAD_SCHEMA
) -> TwimlError:
    return TwimlError(code, why, line=_line(element), element=_tag(element), attribute=attribute)
