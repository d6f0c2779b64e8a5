"""Streams whose SDP holds keys of SRTP."""

from siprec.model import Stream
from siprec.record import from_local_json, to_local_json

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"


def with_keys(stream: Stream) -> Stream:
    """Give the stream with a key in each m-line that we offered."""
    text = to_local_json(stream)
    keyed = text.replace("a=sendonly", f"{CRYPTO}\\r\\na=sendonly")
    if keyed == text:
        raise AssertionError("nothing is offered in this stream")
    return from_local_json(Stream, keyed)


def holds_keys(stream: Stream) -> bool:
    """Tell whether a key stands anywhere in the stream."""
    return KEY in to_local_json(stream)
