"""What the switches of the command line ask for."""

from dataclasses import dataclass, field
from pathlib import Path

from siprec_srs.message import Header
from siprec_srs.offers import Wish
from siprec_srs.tls import TlsPolicy
from siprec_srs.transaction import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpPolicy:
    """How secured m-lines are answered. `suites` are names, none is better than another.

    dtls_role: what we become when the SRC leaves it to us, `active` or `passive`.
    The rest are ways to answer wrongly, after the first `fair_answers` answers.
    """

    suites: tuple[str, ...] = (
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
        "AEAD_AES_128_GCM",
        "AEAD_AES_256_GCM",
        "AES_256_CM_HMAC_SHA1_80",
    )
    dtls_role: str = "active"
    answer_avp: bool = False
    unoffered_suite: bool = False
    unoffered_tag: bool = False
    no_crypto: bool = False
    fair_answers: int = 0

    def after(self, answers: int) -> "SrtpPolicy":
        """Return what holds for the answer that follows so many."""
        if answers >= self.fair_answers:
            return self
        return SrtpPolicy(suites=self.suites, dtls_role=self.dtls_role)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """Who may record; all, by default.

    digest: `user:password`, empty for none. as_proxy: ask as a proxy does, with 407.
    header: name and value that an INVITE must have.
    every_request: ask for digest credentials inside the dialog too.
    """

    digest: str = field(default="", repr=False)
    digest_algorithm: str = "MD5"
    nonce_lifetime_s: float = 300.0
    every_request: bool = False
    as_proxy: bool = False
    header: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerPolicy:
    """The session timer (RFC 4028). Without `expires_s` the SRC's request decides.

    expires_s, refresher (`uac` or `uas`): what our 2xx says, whatever was asked. refresh_by:
    the method of our refreshes. never_refreshes: we do not, although we said we would.
    """

    expires_s: int = 0
    refresher: str = ""
    min_se_s: int = 0
    refresh_by: str = "INVITE"
    never_refreshes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How requests are refused: the first `times` of them, 0 for all."""

    status: int
    reason: str
    times: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MidCallPolicy:
    """What happens inside the dialog besides recording.

    reinvite_offers, update_offers: one request each, so many seconds apart.
    glare: `491` refuses the SRC's first offer so, `cross` sends one of ours at the same time.
    """

    timer: TimerPolicy = field(default_factory=TimerPolicy)
    reinvite_offers: tuple[Wish, ...] = (Wish(),)
    cancel_reinvite: bool = False
    update_after_s: float | None = None
    update_offers: tuple[Wish, ...] = (Wish(is_absent=True),)
    snapshot_request_after_s: float | None = None
    info_after_s: float | None = None
    glare: str = ""
    refuse_reinvite: Refusal | None = None
    refuse_update: Refusal | None = None
    silent_reinvite: bool = False
    delay_reinvite_s: float = 0.0
    forked_200: bool = False
    moved_contact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one SRS behaves; the defaults are those of a good one. README.md tells each switch.

    port_zero: index of the m-line to refuse, -1 for none, None for all.
    capacity: how many sessions at once, 0 for any number. die_on: the file that kills us.
    keys: the file that gets the keys of SRTP, for tests that look for them elsewhere.
    retry_after_s: what refusals tell, None for nothing.
    """

    out: Path
    raw: bool = False
    events: bool = False
    quiet: bool = False
    no_media: bool = False
    video: bool = False
    max_sessions: int = 0
    timers: Timers = field(default_factory=Timers)
    refuse: tuple[int, str] | None = None
    retry_after_s: int | None = None
    redirect: str = ""
    silent: bool = False
    ring_only: bool = False
    ringing: bool = False
    delay_s: float = 0.0
    late_200_after_cancel: bool = False
    garbage: bool = False
    no_sdp: bool = False
    fewer_mlines: bool = False
    extra_mline: bool = False
    port_zero: int | None = -1
    other_codec: bool = False
    inactive: bool = False
    hang_up_after_s: float | None = None
    hang_up_reason: str = ""
    options_after_s: float | None = None
    reinvite_after_s: float | None = None
    die_after_s: float | None = None
    mid_call: MidCallPolicy = field(default_factory=MidCallPolicy)
    srtp: SrtpPolicy = field(default_factory=SrtpPolicy)
    access: AccessPolicy = field(default_factory=AccessPolicy)
    tls: TlsPolicy | None = None
    capacity: int = 0
    die_on: Path | None = None
    keys: Path | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of m-lines that are taken."""
        return ("audio", "video") if self.video else ("audio",)

    def refuses_line(self, index: int) -> bool:
        """Tell whether the m-line of this index is to be answered with port 0."""
        return self.port_zero is None or self.port_zero == index

    @property
    def retry_after(self) -> tuple[Header, ...]:
        """Return the header that refusals have, if any."""
        return () if self.retry_after_s is None else (("Retry-After", str(self.retry_after_s)),)
