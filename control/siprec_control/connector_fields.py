"""The fields of a connector that people set: one table for the command line and for programs."""

from contextlib import suppress
from dataclasses import fields
from enum import StrEnum
from functools import cache

from siprec.connector import (
    Connector,
    Delivery,
    Digits,
    Keying,
    MetadataBy,
    MetadataType,
    OnHold,
    OnSecureCall,
    ParametersIn,
    RtpProfile,
    TlsVersion,
)
from siprec.connectors import check_connector
from siprec.record import SECRET
from siprec.settings import Settings
from siprec.store import Store
from siprec_web.lookup import addresses_of

LOOKUP_S = 2.0

CHOICES: dict[str, tuple[type[StrEnum], str]] = {
    "delivery": (Delivery, "one recorder after the other, or all at once"),
    "parameters": (ParametersIn, "where custom parameters of a stream are put"),
    "metadata_type": (MetadataType, "media type of the metadata"),
    "tls_version": (TlsVersion, "the oldest TLS that is spoken"),
    "digits": (Digits, "whether DTMF reaches the recorder"),
    "rtp_profile": (RtpProfile, "without early RTCP feedback, or with it"),
    "keying": (Keying, "how the keys of SRTP are agreed"),
    "on_secure_call": (OnSecureCall, "what becomes of an SRTP call that would be copied in clear"),
    "hold": (OnHold, "what the recorder gets of a party on hold"),
    "metadata_by": (MetadataBy, "what tells the recorder of changes that leave the SDP as it is"),
}
NUMBERS = {
    "answer_s": "seconds that a recorder has to answer an INVITE",
    "total_s": "seconds for all attempts of a start",
    "end_call_s": "with --required: end a call this long after nobody records it any more",
    "options_s": "seconds between health checks, 0 for none",
    "failures": "failures in a row that open the circuit of a recorder",
    "session_expires_s": "seconds of the session timer that is asked for, 0 for none",
}
LISTS = {
    "codecs": "transcode to these, such as PCMA,G722 (default: as the call)",
    "suites": "SRTP suites that are offered, best first",
}
FLAGS = {
    "keys_in_clear": "allow secure=true without TLS: the keys of SRTP can then be read",
    "early_media": "record from early media on, where a call has it, not only from the answer",
    "video": "record the video of a call too, where it has some",
    "required": "refuse calls that no living recorder could record",
}
WORDS = {
    "header_prefix": ("PREFIX", "begins the name of each header of a custom parameter"),
    "credential_header": ("NAME", "header that holds the credential"),
    "digest_user": ("USER", "user for digest authentication"),
}
FILES = {
    "credential_value": "holds the value of the credential header",
    "digest_password": "holds the password for digest authentication",
    "tls_ca": "CAs that recorders' certificates are checked against (default: the system's)",
    "tls_certificate": "our client certificate, with its chain",
    "tls_key": "its private key",
}
DEFAULTS = {field.name: field.default for field in fields(Connector)}
SECRETS = tuple(field.name for field in fields(Connector) if field.metadata == SECRET)


def checked(store: Store, settings: Settings, connector: Connector, now_ms: int) -> Connector:
    """Give a connector as it is to be stored.

    Raises:
        ConnectorError: names the field.
        StoreUnavailable.
    """
    return check_connector(
        connector,
        edges=[edge.name for edge in settings.edges],
        others=store.all_connectors(),
        now_ms=now_ms,
        addresses_of=cache(_addresses_of),
    )


def _addresses_of(host: str) -> frozenset[str]:
    # A name that is not found now is no reason to refuse a connector.
    with suppress(OSError, UnicodeError):
        return frozenset(addresses_of(host, 0, LOOKUP_S))
    return frozenset()
