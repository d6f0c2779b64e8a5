"""A connector: where the streams of one name go, and how. docs/connectors.md has each field."""

from dataclasses import dataclass, field
from enum import StrEnum

from siprec.record import SECRET


class ParametersIn(StrEnum):
    """Where a connector puts custom parameters of a stream."""

    METADATA = "metadata"
    HEADERS = "headers"
    BOTH = "both"


class Delivery(StrEnum):
    """How a connector uses several SRSs: one after the other, or all at once."""

    FAILOVER = "failover"
    PARALLEL = "parallel"


class MetadataType(StrEnum):
    """The media type of the metadata: that of RFC 9806, or the one older servers match."""

    RS_METADATA_XML = "application/rs-metadata+xml"
    RS_METADATA = "application/rs-metadata"


class Digits(StrEnum):
    """What becomes of DTMF (RFC 4733): it never reaches the SRS, or as the call carries it."""

    STRIP = "strip"
    KEEP = "keep"


class Keying(StrEnum):
    """How the keys of SRTP are agreed: in the SDP (RFC 4568), or by DTLS (RFC 5764)."""

    SDES = "sdes"
    DTLS = "dtls"


class RtpProfile(StrEnum):
    """Whether the m-lines are of the profile with early RTCP feedback (RFC 4585, 5124)."""

    AVP = "avp"
    AVPF = "avpf"


class TlsVersion(StrEnum):
    """The oldest TLS that is spoken with an SRS."""

    V1_2 = "1.2"
    V1_3 = "1.3"


class OnSecureCall(StrEnum):
    """What a connector without SRTP does with a call that has it (RFC 7866 §12)."""

    ALLOW = "allow"
    ALERT = "alert"
    REFUSE = "refuse"


class OnHold(StrEnum):
    """What a party on hold is to its SRS (RFC 7866 §7.1.1.1): as before, or `a=inactive`."""

    KEEP = "keep"
    INACTIVE = "inactive"


class MetadataBy(StrEnum):
    """What carries a change of metadata alone: a re-INVITE with SDP, or UPDATE without."""

    REINVITE = "re-invite"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Srs:
    """One recorder of a connector.

    `uri` is as the operator wrote it (siprec.srs_uri.parse_srs_uri). The lowest `priority` is
    used first; inside one, calls are shared out by `weight`. `max_sessions` None: no limit.
    One that is drained gets no new recordings, and keeps those it has.
    """

    uri: str
    priority: int = 1
    weight: int = 1
    max_sessions: int | None = None
    drained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Where streams of one name go, and how. docs/connectors.md explains each field.

    Secrets (`credential_value`, `digest_password`, `tls_key`) are stored sealed and shown to
    nobody. `tls_ca`, `tls_certificate` and `tls_key` hold PEM. `codecs` are names such as
    `PCMA`; none means those of the call. `answer_s` limits one INVITE, `total_s` all attempts of
    one start or one failover together. `end_call_s` (of a `required` connector) ends a call that
    nobody records any more after so many seconds; None only alerts. `options_s` is the pause
    between health checks, 0 for none; `failures` in a row open the circuit of an SRS.
    `session_expires_s` is the session timer that we ask for (RFC 4028), 0 for none. `video`: that
    of a call is recorded too, where it has some.
    """

    account_sid: str
    name: str
    srs: tuple[Srs, ...]
    delivery: Delivery = Delivery.FAILOVER
    parameters: ParametersIn = ParametersIn.BOTH
    header_prefix: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    credential_header: str = ""
    credential_value: str = field(default="", metadata=SECRET, repr=False)
    digest_user: str = ""
    digest_password: str = field(default="", metadata=SECRET, repr=False)
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = field(default="", metadata=SECRET, repr=False)
    tls_version: TlsVersion = TlsVersion.V1_2
    metadata_type: MetadataType = MetadataType.RS_METADATA_XML
    codecs: tuple[str, ...] = ()
    digits: Digits = Digits.STRIP
    rtp_profile: RtpProfile = RtpProfile.AVP
    keying: Keying = Keying.SDES
    suites: tuple[str, ...] = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
    keys_in_clear: bool = False
    on_secure_call: OnSecureCall = OnSecureCall.ALERT
    answer_s: int = 10
    total_s: int = 30
    required: bool = False
    end_call_s: int | None = None
    options_s: int = 30
    failures: int = 3
    hold: OnHold = OnHold.KEEP
    metadata_by: MetadataBy = MetadataBy.REINVITE
    session_expires_s: int = 1800
    early_media: bool = False
    video: bool = False
