"""The signature of requests, held against the published vector and the SDK's own validator."""

from twilio.request_validator import RequestValidator

from siprec_web.signature import sign

FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+12349013030",
    "Digits": "1234",
    "From": "+12349013030",
    "To": "+18005551212",
}
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"


def test_signature_is_that_of_the_published_vector() -> None:
    assert sign("12345", URL, FIELDS) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_validator_of_the_sdk_accepts_forms_and_queries() -> None:
    validator = RequestValidator("secret")
    url = "https://h.example/a?b=c%20d&e=f"
    for fields in ({}, FIELDS):
        assert validator.validate(url, fields, sign("secret", url, fields))
        assert not validator.validate(url, fields, sign("other", url, fields))
