"""Documents compile to programs, or say where they are wrong."""

from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.model import CallbackMethod, StreamOrder, Track
from siprec.record import from_json, to_json
from siprec.twiml import (
    Program,
    RejectReason,
    Step,
    Target,
    TargetKind,
    TwimlError,
    Verb,
    compile_document,
)

GOLDEN = Path(__file__).parent / "golden"


def _in_response(text: str) -> bytes:
    return f"<Response>\n{text}\n</Response>".encode()


def test_compile_document_of_every_verb_is_the_golden_program() -> None:
    program = compile_document((GOLDEN / "every-verb.xml").read_bytes())
    golden = from_json(Program, (GOLDEN / "every-verb.json").read_bytes())
    assert program == golden


def test_compile_document_of_every_verb_gives_these_steps() -> None:
    program = compile_document((GOLDEN / "every-verb.xml").read_bytes())
    order = StreamOrder(
        name="my stream",
        connector_name="Gridspace_1",
        track=Track.INBOUND,
        status_callback="https://example.com/cb?a=1&b=2#rc=2",
        status_callback_method=CallbackMethod.GET,
        parameters=(("Custom1", "Bob & <Zoë>"), ("Custom2", "")),
    )
    number = Target(kind=TargetKind.NUMBER, value="+15550001111")
    both = (
        Target(kind=TargetKind.NUMBER, value="alice"),
        Target(kind=TargetKind.SIP, value="sip:bob@[::1]:5062;transport=tcp"),
    )
    # libxml2 counts the line on which a start tag ends.
    assert program.steps == (
        Step(do=Verb.START, order=order, line=7),
        Step(do=Verb.START, order=StreamOrder(), line=11),
        Step(do=Verb.PAUSE, length_s=1, line=13),
        Step(do=Verb.PAUSE, length_s=0, line=14),
        Step(do=Verb.DIAL, targets=(number,), timeout_s=30, line=15),
        Step(do=Verb.DIAL, targets=both, timeout_s=600, line=16),
        Step(do=Verb.STOP, name="my stream", line=17),
        Step(do=Verb.REJECT, line=18),
        Step(do=Verb.REJECT, reason=RejectReason.BUSY, line=19),
        Step(do=Verb.HANGUP, line=20),
    )


def test_compile_document_of_an_empty_response_has_no_steps() -> None:
    assert compile_document(b"\xef\xbb\xbf<Response/>") == Program()


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        (b"", 12100, "not XML"),
        (b"<Response>", 12100, "line 1: not XML"),
        (b"\n<Response>\n&foo;</Response>", 12100, "line 3: not XML"),
        (b"<Response>\n\n\xff</Response>", 12100, "line 3: is not UTF-8"),
        ("<Response/>".encode("utf-16"), 12100, "is not UTF-8"),
        (b"<!DOCTYPE Response><Response/>", 12100, "DTD"),
        (b'<!DOCTYPE Response SYSTEM "http://127.0.0.1:1/x"><Response/>', 12100, "DTD"),
        (b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>', 12100, "DTD"),
        (b"<Response>" + b"<Start>" * 300, 12100, "not XML"),
        (b"<Response>" + b" " * 65_536 + b"</Response>", 12100, "over 65536 bytes"),
        (b"<response/>", 12200, "line 1: <response>: the document must be one <Response>"),
        (b"<r:Response xmlns:r='u'/>", 12200, "must be one <Response>"),
        (b"<Response xmlns:r='u'/>", 12200, "namespaces are not allowed"),
        (b"<Response xml:lang='en'/>", 12200, "not a known attribute"),
        (b"<Response>hello</Response>", 12200, "must not hold text"),
        (b"<Response><Hangup/>hello</Response>", 12200, "must not hold text"),
    ],
)
def test_compile_document_of_a_bad_document_says_why(text: bytes, code: int, why: str) -> None:
    with pytest.raises(TwimlError, match=why) as caught:
        compile_document(text)
    assert caught.value.code == code


_PARAMETER = "<Start><Siprec><Parameter {}/></Siprec></Start>"


@pytest.mark.parametrize(
    ("text", "code", "place", "why"),
    [
        ("<Say>hi</Say>", 12200, "<Say>", "known are Start, Stop, Dial"),
        ("<Siprec/>", 12200, "<Siprec>", "is not known"),
        ("<dial>1</dial>", 12200, "<dial>", "is not known"),
        ("<Start/>", 12200, "<Start>", "must hold <Siprec>"),
        ("<Start x='1'><Siprec/></Start>", 12200, "<Start x>", "not a known attribute"),
        ("<Start><Stream/></Start>", 12200, "<Stream>", "not known in <Start>"),
        ("<Start>x<Siprec/></Start>", 12200, "<Start>", "text"),
        ("<Start><Siprec tracks='x'/></Start>", 12200, "<Siprec tracks>", "not a known"),
        ("<Start><Siprec track='both'/></Start>", 31941, "<Siprec track>", "none of inbound"),
        ("<Start><Siprec name='a/b'/></Start>", 12200, "<Siprec name>", "/"),
        ("<Start><Siprec connectorName=''/></Start>", 12200, "<Siprec connectorName>", "empty"),
        ("<Start><Siprec statusCallback='x'/></Start>", 12200, "<Siprec statusCallback>", "http"),
        (
            "<Start><Siprec statusCallbackMethod='PUT'/></Start>",
            12200,
            "<Siprec statusCallbackMethod>",
            "none of GET, POST",
        ),
        ("<Start><Siprec>x</Siprec></Start>", 12200, "<Siprec>", "text"),
        ("<Start><Siprec><X/></Siprec></Start>", 12200, "<X>", "not known in <Siprec>"),
        (_PARAMETER.format("name='a'"), 12200, "<Parameter value>", "is required"),
        (_PARAMETER.format("value='a'"), 12200, "<Parameter name>", "is required"),
        (_PARAMETER.format("name='a b' value=''"), 32111, "<Parameter name>", "header name"),
        (_PARAMETER.format("name='Via' value=''"), 32113, "<Parameter name>", "SIP itself"),
        (_PARAMETER.format("name='a' value='&#13;'"), 32112, "<Parameter value>", "line break"),
        (_PARAMETER.format("name='a' value='' x=''"), 12200, "<Parameter x>", "not a known"),
        (
            "<Start><Siprec><Parameter name='a' value=''/><Parameter name='A' value=''/>"
            "</Siprec></Start>",
            32111,
            "<Siprec>",
            "parameters: name 'A' stands twice",
        ),
        (
            "<Start><Siprec><Parameter name='a' value=''>x</Parameter></Siprec></Start>",
            12200,
            "<Parameter>",
            "text",
        ),
        ("<Stop/>", 12200, "<Stop>", "must hold <Siprec>"),
        ("<Stop><Siprec/></Stop>", 12200, "<Siprec name>", "is required"),
        ("<Stop><Siprec name=''/></Stop>", 12200, "<Siprec name>", "is required"),
        ("<Stop><Siprec name='a/b'/></Stop>", 12200, "<Siprec name>", "/"),
        ("<Stop><Siprec name='a' track='x'/></Stop>", 12200, "<Siprec track>", "not a known"),
        ("<Stop><Siprec name='a'><X/></Siprec></Stop>", 12200, "<X>", "must be empty"),
        ("<Dial/>", 12200, "<Dial>", "is empty"),
        ("<Dial> </Dial>", 12200, "<Dial>", "is empty"),
        ("<Dial>1 2</Dial>", 12200, "<Dial>", "'1 2' is not a number"),
        ("<Dial><Number/></Dial>", 12200, "<Number>", "is empty"),
        ("<Dial>1<Number>2</Number></Dial>", 12200, "<Dial>", "not both"),
        ("<Dial><Number>2</Number>1</Dial>", 12200, "<Dial>", "not both"),
        ("<Dial><Client>a</Client></Dial>", 12200, "<Client>", "known are Number, Sip"),
        ("<Dial><Number url='x'>1</Number></Dial>", 12200, "<Number url>", "not a known"),
        ("<Dial><Sip>sip:a@h<X/></Sip></Dial>", 12200, "<X>", "not known in <Sip>"),
        ("<Dial><Sip>bob</Sip></Dial>", 12200, "<Sip>", "scheme"),
        ("<Dial><Sip>sips:a@h</Sip></Dial>", 12200, "<Sip>", "not supported yet"),
        ("<Dial><Sip>sip:a@h?X=1</Sip></Dial>", 12200, "<Sip>", "without headers"),
        ("<Dial>" + "<Number>1</Number>" * 11 + "</Dial>", 12200, "<Dial>", "more than 10"),
        ("<Dial action='/x'>1</Dial>", 12200, "<Dial action>", "not supported in a proxy"),
        ("<Dial callerId='1'>1</Dial>", 12200, "<Dial callerId>", "not supported in a proxy"),
        ("<Dial foo='1'>1</Dial>", 12200, "<Dial foo>", "not a known attribute"),
        ("<Dial timeout='0'>1</Dial>", 12200, "<Dial timeout>", "from 1 to 600"),
        ("<Dial timeout='601'>1</Dial>", 12200, "<Dial timeout>", "from 1 to 600"),
        ("<Dial timeout='1.5'>1</Dial>", 12200, "<Dial timeout>", "whole number"),
        ("<Dial timeout='٣'>1</Dial>", 12200, "<Dial timeout>", "whole number"),
        (f"<Dial timeout='{'9' * 5000}'>1</Dial>", 12200, "<Dial timeout>", "whole number"),
        ("<Pause length='-1'/>", 12200, "<Pause length>", "from 0 to 180"),
        ("<Pause length='181'/>", 12200, "<Pause length>", "from 0 to 180"),
        ("<Pause>1</Pause>", 12200, "<Pause>", "text"),
        ("<Reject reason='x'/>", 12200, "<Reject reason>", "none of rejected, busy"),
        ("<Reject><Play/></Reject>", 12200, "<Play>", "must be empty"),
        ("<Redirect/>", 12200, "<Redirect>", "a URL is required"),
        ("<Redirect><a/></Redirect>", 12200, "<a>", "which holds a URL"),
        ("<Redirect method='PUT'>/</Redirect>", 12200, "<Redirect method>", "none of GET, POST"),
        ("<Redirect>ftp://h/</Redirect>", 12200, "<Redirect>", "does not begin with http"),
        (f"<Redirect>/{'a' * 4096}</Redirect>", 12200, "<Redirect>", "over 4096"),
        ("<Hangup x='1'/>", 12200, "<Hangup x>", "not a known attribute"),
    ],
)
def test_compile_document_of_a_bad_element_names_the_place(
    text: str, code: int, place: str, why: str
) -> None:
    with pytest.raises(TwimlError, match=why) as caught:
        compile_document(_in_response(text))
    error = caught.value
    assert (error.code, error.line) == (code, 2)
    assert str(error).startswith(f"line 2: {place}: ")
    element, _, attribute = place.strip("<>").partition(" ")
    assert (error.element, error.attribute) == (element, attribute or None)


def test_compile_document_expands_no_entity() -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "' + "x" * 20_000 + '">]><Response>'
    text = f"{bomb}<Pause length='{'&a;' * 10_000}'/></Response>"
    with pytest.raises(TwimlError) as caught:
        compile_document(text.encode())
    assert caught.value.code == 12100


_xml_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff/"), max_size=20
)
_parameters = st.lists(
    st.tuples(st.from_regex(r"X-[A-Za-z0-9.]{1,9}", fullmatch=True), _xml_texts),
    max_size=5,
    unique_by=lambda pair: pair[0].lower(),
).map(tuple)


@given(_xml_texts, st.sampled_from(Track), _parameters)
def test_compile_document_reads_any_order_that_is_well(
    name: str, track: Track, parameters: tuple[tuple[str, str], ...]
) -> None:
    inner = "".join(f"<Parameter name={quoteattr(n)} value={quoteattr(v)}/>" for n, v in parameters)
    text = f"<Start><Siprec name={quoteattr(name)} track='{track}'>{inner}</Siprec></Start>"
    program = compile_document(_in_response(text))
    assert program.steps[0].order == StreamOrder(name=name, track=track, parameters=parameters)
    assert from_json(Program, to_json(program)) == program


_TAGS = ["Response", "Start", "Stop", "Siprec", "Parameter", "Dial", "Number", "Sip", "Pause", "X"]
_trees = st.recursive(
    st.text(max_size=5).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;")),
    lambda inner: st.builds(
        "<{0} {1}>{2}</{0}>".format,
        st.sampled_from(_TAGS),
        st.sampled_from(["", "name='a'", "track='x'", "timeout='5'", "xmlns='u'", "value='v'"]),
        st.lists(inner, max_size=3).map("".join),
    ),
    max_leaves=12,
)


@given(st.binary() | st.text().map(str.encode) | _trees.map(_in_response))
def test_compile_document_raises_nothing_but_twiml_errors(text: bytes) -> None:
    with suppress(TwimlError):
        compile_document(text)
