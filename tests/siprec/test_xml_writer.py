"""Element, held against lxml."""

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from siprec.xml_writer import Element

# Surrogates cannot be encoded; they are replaced like all that XML does not allow.
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


def _as_xml_has_it(text: str) -> str:
    allowed = (
        c
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "\ufffd"
        for c in text
    )
    return "".join(allowed)


def test_document_indents_children_and_shortens_what_is_empty() -> None:
    root = Element("a", attributes={"xmlns": "urn:x"})
    root.child("b").child("c", "text", {"d": "1", "e": "2"})
    root.child("f")
    root.child("g", "")

    assert root.document().decode().splitlines() == [
        "<?xml version='1.0' encoding='UTF-8'?>",
        '<a xmlns="urn:x">',
        "  <b>",
        '    <c d="1" e="2">text</c>',
        "  </b>",
        "  <f/>",
        "  <g></g>",
        "</a>",
    ]


@given(ANY_TEXT, ANY_TEXT)
def test_document_of_any_text_is_read_back_as_it_was(text: str, attribute: str) -> None:
    root = Element("a")
    root.child("b", text, {"c": attribute})

    (child,) = etree.fromstring(root.document())

    assert (child.text or "") == _as_xml_has_it(text)
    assert child.get("c") == _as_xml_has_it(attribute)
    assert len(child) == 0
