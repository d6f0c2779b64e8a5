"""Errors read well and carry what the callers need."""

import pytest

from siprec import errors


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.SipUriError("edge", "is not supported yet"), "SIP URI: edge: is not supported yet"),
        (errors.NumberError("a b", "is bad"), "number 'a b': is bad"),
        (errors.ConnectorError("srs", 32110, "host: is bad"), "connector: srs: host: is bad"),
        (errors.OrderError("name", 12200, "is bad"), "name: is bad"),
        (errors.TwimlError(12100, "not XML"), "not XML"),
        (errors.TwimlError(12100, "not XML", line=3), "line 3: not XML"),
        (
            errors.TwimlError(12200, "is bad", line=3, element="Dial"),
            "line 3: <Dial>: is bad",
        ),
        (
            errors.TwimlError(31941, "is bad", line=3, element="Siprec", attribute="track"),
            "line 3: <Siprec track>: is bad",
        ),
        (errors.SdpError("is bad"), "SDP: is bad"),
        (errors.ForkError("is bad"), "SDP: fork: is bad"),
        (errors.SrtpError("is bad"), "SDP: is bad"),
        (errors.MultipartError("is bad"), "multipart: is bad"),
    ],
)
def test_error_reads_well(error: errors.SiprecError, text: str) -> None:
    assert str(error) == text


def test_fork_error_is_retryable_only_when_told() -> None:
    assert not errors.SdpError("x").retryable
    assert not errors.ForkError("x").retryable
    assert errors.ForkError("x", retryable=True).retryable
    assert errors.ForkError("x").code == 32102


def test_sdp_error_quotes_little_of_the_peer() -> None:
    assert len(str(errors.SdpError("x" * 60_000))) < 250


@pytest.mark.parametrize("key", ["inline:abc|1:4", "INLINE:x", "A" * 24, "a+/" * 13 + "=="])
def test_sdp_error_quotes_no_key(key: str) -> None:
    assert str(errors.SdpError(f"is {key} bad")) == "SDP: is (hidden) bad"


def test_srtp_error_has_a_code_of_its_own() -> None:
    error = errors.SrtpError("AES_CM_128_HMAC_SHA1_80 was not offered")
    assert (error.code, error.retryable) == (32207, False)
    assert error.why == "AES_CM_128_HMAC_SHA1_80 was not offered"
