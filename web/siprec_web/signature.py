"""The signature by which a receiver knows that a request is ours."""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def sign(token: str, url: str, fields: Mapping[str, str]) -> str:
    """Sign a request with an account's token: base64 of HMAC-SHA1, for `X-Twilio-Signature`.

    `url` is the full one, with its query. `fields` are those of a form; none for GET.
    """
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
