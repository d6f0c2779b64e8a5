"""The words of the OpenAPI document: what is sent and answered. Data only."""

from typing import Any

Schema = dict[str, Any]


def text(**more: Any) -> Schema:
    """Give the schema of a text."""
    return {"type": "string", **more}


def or_null(kind: str = "string") -> Schema:
    """Give the schema of what may be missing."""
    return {"type": [kind, "null"]}


def object_of(**fields: Schema) -> Schema:
    """Give the schema of an object with these fields."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def each_of(names: str, schema: Schema) -> dict[str, Schema]:
    """Give fields that have the same schema."""
    return dict.fromkeys(names.split(), schema)


def list_of(items: Schema) -> Schema:
    """Give the schema of an array."""
    return {"type": "array", "items": items}


def page_of(key: str, item: Schema) -> Schema:
    """Give the schema of a page of a list."""
    uris = ("first_page_uri", "next_page_uri", "previous_page_uri")
    counts = {name: {"type": "integer"} for name in ("page", "page_size", "start", "end")}
    return object_of(
        **{key: list_of(item)}, **counts, uri=text(), **{uri: or_null() for uri in uris}
    )


def sid_of(kind: str) -> Schema:
    """Give the schema of a sid; `kind` is how it begins."""
    return text(pattern=f"^{kind}[0-9a-f]{{32}}$")


TEXT = text()
ERROR = object_of(
    code={"type": "integer"}, message=text(), more_info=text(), status={"type": "integer"}
)
SIPREC = object_of(
    sid=sid_of("SR"),
    account_sid=sid_of("AC"),
    call_sid=sid_of("CA"),
    name=or_null(),
    status=text(enum=["in-progress", "paused", "stopped"]),
    date_updated=text(),
    uri=text(),
)
SIPREC_FULL = object_of(
    **SIPREC["properties"],
    date_created=text(),
    connector_name=text(),
    track=text(),
    state=text(),
    paused_sides=list_of(text()),
    error_code=or_null("integer"),
    error_message=or_null(),
)
SIPRECS = object_of(siprec=list_of(SIPREC_FULL), uri=text())

_CALL_NULLS = (
    "parent_call_sid phone_number_sid price answered_by annotation forwarded_from group_sid"
    " trunk_sid caller_name start_time end_time duration"
)
CALL = object_of(
    sid=sid_of("CA"),
    account_sid=sid_of("AC"),
    **each_of("to to_formatted from from_formatted status direction api_version", text()),
    **each_of(_CALL_NULLS, or_null()),
    date_created=text(),
    date_updated=text(),
    price_unit=text(),
    queue_time=text(),
    uri=text(),
    subresource_uris={"type": "object"},
)
CALLS = page_of("calls", CALL)

ALERT = object_of(
    **each_of(
        "sid account_sid error_code log_level alert_text more_info"
        " api_version date_created date_generated date_updated url",
        text(),
    ),
    **each_of(
        "request_method request_url resource_sid service_sid siprec_sid connector_name srs"
        " sip_reason advice",
        or_null(),
    ),
    sip_status=or_null("integer"),
)
ALERT_FULL = object_of(
    **ALERT["properties"],
    **each_of("request_variables request_headers response_body response_headers", or_null()),
)
META = object_of(
    key=text(),
    page={"type": "integer"},
    page_size={"type": "integer"},
    url=text(),
    first_page_url=text(),
    next_page_url=or_null(),
    previous_page_url=or_null(),
)
ALERTS = object_of(alerts=list_of(ALERT), meta=META)
HEALTH = object_of(status=text(enum=["ok", "ready"]))
NOT_READY = object_of(status=text(enum=["not ready"]), why=text())

_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
NUMBER = object_of(
    number=text(),
    account_sid=sid_of("AC"),
    **each_of("twiml url method fallback_url fallback_method uri", text()),
)
NUMBERS = object_of(numbers=list_of(NUMBER))
EDGES = object_of(
    edges=list_of(
        object_of(
            **each_of("edge purpose transport note", text()),
            address=or_null(),
            **each_of("port_min port_max", or_null("integer")),
        )
    )
)
_SCOPE = text(enum=["read", "control", "admin"])
_KEY = object_of(
    sid=sid_of("SK"),
    scope=_SCOPE,
    **each_of("friendly_name date_created date_updated", text()),
)
KEYS = object_of(keys=list_of(_KEY))
NEW_KEY = object_of(**_KEY["properties"], secret=text())
ACCOUNT = object_of(
    sid=sid_of("AC"),
    status=text(enum=["active", "closed"]),
    debugger_url=or_null(),
    **each_of("friendly_name date_created date_updated debugger_method uri", text()),
)
ACCOUNTS = object_of(accounts=list_of(ACCOUNT))
NEW_ACCOUNT = object_of(**ACCOUNT["properties"], auth_token=text())
_SRS = object_of(
    **each_of("uri", text()),
    **each_of("priority weight sessions", _INTEGER),
    max_sessions=or_null("integer"),
    drained=_BOOLEAN,
    reachable=or_null("boolean"),
    **each_of(
        "date_checked date_changed date_answered date_certificate_expires circuit last_failure",
        or_null(),
    ),
)
CONNECTOR = object_of(
    name=text(),
    account_sid=sid_of("AC"),
    srs=list_of(_SRS),
    headers=list_of(object_of(name=text(), value=text())),
    **each_of("codecs suites warnings", list_of(text())),
    **each_of(
        "delivery parameters header_prefix credential_header digest_user tls_ca tls_certificate"
        " tls_version metadata_type digits rtp_profile keying on_secure_call hold metadata_by uri",
        text(),
    ),
    **each_of("answer_s total_s options_s failures session_expires_s", _INTEGER),
    end_call_s=or_null("integer"),
    **each_of(
        "keys_in_clear required early_media video"
        " has_credential_value has_digest_password has_tls_key",
        _BOOLEAN,
    ),
)
CONNECTORS = object_of(connectors=list_of(CONNECTOR))

START: Schema = {
    "type": "object",
    "properties": {
        "Name": text(),
        "ConnectorName": text(),
        "Track": text(enum=["inbound_track", "outbound_track", "both_tracks"]),
        "StatusCallback": text(),
        "StatusCallbackMethod": text(enum=["GET", "POST"]),
        "Parameter1.Name": text(),
        "Parameter1.Value": text(),
    },
    "patternProperties": {r"^Parameter[1-9][0-9]?\.(Name|Value)$": text()},
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
    Status=text(enum=["stopped", "paused", "in-progress"]),
    Track=text(enum=["inbound_track", "outbound_track", "both_tracks"]),
)
_METHOD = text(enum=["GET", "POST"])
UPDATE_CALL = form(
    Status=text(enum=["completed", "canceled"]),
    Twiml=text(),
    Url=text(),
    Method=_METHOD,
    FallbackUrl=text(),
    FallbackMethod=_METHOD,
)
SET_NUMBER = form(
    Twiml=text(), Url=text(), Method=_METHOD, FallbackUrl=text(), FallbackMethod=_METHOD
)
CREATE_KEY = form(FriendlyName=text(), Scope=_SCOPE)
CREATE_ACCOUNT = form(FriendlyName=text())
UPDATE_ACCOUNT = form(
    FriendlyName=text(),
    Status=text(enum=["active", "closed"]),
    DebuggerUrl=text(),
    DebuggerMethod=_METHOD,
)
ANY_FORM: Schema = {"type": "object", "additionalProperties": text()}

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
            "content": {"application/json": {"schema": NOT_READY}},
        }
    # One that always refuses has told how already.
    responses.setdefault(status, shown)
    extra: dict[str, Any] = {}
    if form is not None:
        content = {"application/x-www-form-urlencoded": {"schema": form}}
        extra["requestBody"] = {"content": content}
    if query:
        extra["parameters"] = [
            {"name": each, "in": "query", "required": False, "schema": text()} for each in query
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
