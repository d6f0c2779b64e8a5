"""Where documents are fetched, as forms say: a URL, one for when that fails, their methods."""

from collections.abc import Mapping

from siprec.model import CallbackMethod
from siprec.twiml import Source
from siprec_control.rest.errors import bad_value
from siprec_web.errors import UrlError
from siprec_web.overrides import parse_url

URL_FIELDS = ("Url", "Method", "FallbackUrl", "FallbackMethod")


def sources_of(fields: Mapping[str, str]) -> tuple[Source, ...]:
    """Read them.

    Raises:
        ApiError: names the field.
    """
    found: list[Source] = []
    for name, method_name in (("Url", "Method"), ("FallbackUrl", "FallbackMethod")):
        url = fields.get(name)
        if url is None:
            if method_name in fields:
                raise bad_value(name, f"is missing; {method_name} goes with it")
            continue
        try:
            parse_url(url)
        except UrlError as error:
            raise bad_value(name, str(error)) from error
        method = fields.get(method_name, CallbackMethod.POST.value)
        if method not in list(CallbackMethod):
            raise bad_value(method_name, f"{method[:40]!r} is none of GET, POST")
        found.append(Source(url=url, method=CallbackMethod(method)))
    return tuple(found)
