"""The words of the OpenAPI document: what is sent and answered. Data only."""

from typing import Any

Schema = dict[str, Any]


def _text(**more: Any) -> Schema:
    return {"type": "string", **more}


def _or_null(kind: str = "string") -> Schema:
    return {"type": [kind, "null"]}


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _each(names: str, schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _page(key: str, item: Schema) -> Schema:
    uris = ("first_page_uri", "next_page_uri", "previous_page_uri")
    counts = {name: {"type": "integer"} for name in ("page", "page_size", "start", "end")}
    return _object(**{key: _list(item)}, **counts, uri=_text(), **{uri: _or_null() for uri in uris})


def _sid(kind: str) -> Schema:
    return _text(pattern=f"^{kind}[0-9a-f]{{32}}$")


TEXT = _text()
ERROR = _object(
    code={"type": "integer"}, message=_text(), more_info=_text(), status={"type": "integer"}
)
SIPREC = _object(
    sid=_sid("SR"),
    account_sid=_sid("AC"),
    call_sid=_sid("CA"),
    name=_or_null(),
    status=_text(enum=["in-progress", "paused", "stopped"]),
    date_updated=_text(),
    uri=_text(),
)
SIPREC_FULL = _object(
    **SIPREC["properties"],
    date_created=_text(),
    connector_name=_text(),
    track=_text(),
    state=_text(),
    paused_sides=_list(_text()),
    error_code=_or_null("integer"),
    error_message=_or_null(),
)
SIPRECS = _object(siprec=_list(SIPREC_FULL), uri=_text())

_CALL_NULLS = (
    "parent_call_sid phone_number_sid price answered_by annotation forwarded_from group_sid"
    " trunk_sid caller_name start_time end_time duration"
)
CALL = _object(
    sid=_sid("CA"),
    account_sid=_sid("AC"),
    **_each("to to_formatted from from_formatted status direction api_version", _text()),
    **_each(_CALL_NULLS, _or_null()),
    date_created=_text(),
    date_updated=_text(),
    price_unit=_text(),
    queue_time=_text(),
    uri=_text(),
    subresource_uris={"type": "object"},
)
CALLS = _page("calls", CALL)

ALERT = _object(
    **_each(
        "sid account_sid error_code log_level alert_text more_info"
        " api_version date_created date_generated date_updated url",
        _text(),
    ),
    **_each(
        "request_method request_url resource_sid service_sid siprec_sid connector_name srs"
        " sip_reason advice",
        _or_null(),
    ),
    sip_status=_or_null("integer"),
)
ALERT_FULL = _object(
    **ALERT["properties"],
    **_each("request_variables request_headers response_body response_headers", _or_null()),
)
META = _object(
    key=_text(),
    page={"type": "integer"},
    page_size={"type": "integer"},
    url=_text(),
    first_page_url=_text(),
    next_page_url=_or_null(),
    previous_page_url=_or_null(),
)
ALERTS = _object(alerts=_list(ALERT), meta=META)
ANYTHING: Schema = {"type": "object"}
HEALTH = _object(status=_text())

START: Schema = {
    "type": "object",
    "properties": {
        "Name": _text(),
        "ConnectorName": _text(),
        "Track": _text(enum=["inbound_track", "outbound_track", "both_tracks"]),
        "StatusCallback": _text(),
        "StatusCallbackMethod": _text(enum=["GET", "POST"]),
        "Parameter1.Name": _text(),
        "Parameter1.Value": _text(),
    },
    "patternProperties": {r"^Parameter[1-9][0-9]?\.(Name|Value)$": _text()},
    "additionalProperties": False,
}


def form(required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    """Give the schema of a form."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


UPDATE_SIPREC = form(
    ("Status",),
    Status=_text(enum=["stopped", "paused", "in-progress"]),
    Track=_text(enum=["inbound_track", "outbound_track", "both_tracks"]),
)
_METHOD = _text(enum=["GET", "POST"])
UPDATE_CALL = form(
    Status=_text(enum=["completed", "canceled"]),
    Twiml=_text(),
    Url=_text(),
    Method=_METHOD,
    FallbackUrl=_text(),
    FallbackMethod=_METHOD,
)
ANY_FORM: Schema = {"type": "object", "additionalProperties": _text()}
NAMED = form(FriendlyName=_text())
NEW_KEY = form(FriendlyName=_text(), Scope=_text(enum=["read", "control", "admin"]))

_MEANS = {
    400: "Refused: the message names the field, or the code says why",
    401: "No login",
    403: "The key's scope does not do",
    404: "Not there, or not for this account",
    408: "The body came too slowly",
    413: "The body is too large",
    415: "The body is not a form",
    429: "Too many requests: Retry-After says when to come again",
    503: "Redis or the controllers do not answer",
}
_ALWAYS = (400, 401, 403, 404, 429, 503)
_WITH_BODY = (408, 413, 415)


def told(
    name: str,
    summary: str,
    answer: Schema | None,
    *_: int,
    status: int = 200,
    form: Schema | None = None,
    query: tuple[str, ...] = (),
    is_open: bool = False,
) -> dict[str, Any]:
    """Give the arguments of a route that say what it takes and answers."""
    statuses = (429, 503) if is_open else _ALWAYS
    # A body may come with any request.
    statuses = (*statuses, *_WITH_BODY)
    responses: dict[int | str, dict[str, Any]] = {
        each: {"description": _MEANS[each], "content": {"application/json": {"schema": ERROR}}}
        for each in statuses
    }
    shown: dict[str, Any] = {"description": "Done"}
    if answer is not None:
        shown["content"] = {"application/json": {"schema": answer}}
    if is_open:
        responses[503] = {
            "description": "Not ready",
            "content": {"application/json": {"schema": ANYTHING}},
        }
    responses[status] = shown
    extra: dict[str, Any] = {}
    if form is not None:
        content = {"application/x-www-form-urlencoded": {"schema": form}}
        extra["requestBody"] = {"content": content}
    if query:
        extra["parameters"] = [
            {"name": each, "in": "query", "required": False, "schema": _text()} for each in query
        ]
    if is_open:
        extra["security"] = []
    return {
        "operation_id": name,
        "summary": summary,
        "responses": responses,
        "openapi_extra": extra,
        "response_model": None,
    }
