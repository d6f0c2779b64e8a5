"""The SIP workers of the SRC role: they hand replies and requests of the SRS to controllers."""

import base64
import binascii

from siprec.inbox import Entry, SrsReplied, SrsRequested, TlsSeen
from siprec.settings import Runtime
from siprec.shard_store import ShardStore
from siprec.sids import parse_leg_call_id, shard_of_sid
from siprec.srs_dialog import ACCEPT, ALLOW
from siprec.store import StoreUnavailable, connect
from siprec.vault import Vault
from siprec_kemi import ksr
from siprec_kemi.loopback import open_sender
from siprec_kemi.runtime import boot_id
from siprec_kemi.src.mail import post
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.probes import probe_port

ON_EXPIRED = "ksr_srs_expired"
REDIS_TIMEOUT_S = 0.5
# A controller that takes this long has lost the shard or Redis: the SRS gets 500.
ANSWER_MS = 3_000


class Workers:
    """One per SIP worker."""

    def __init__(self, runtime: Runtime, owners: Owners) -> None:
        redis = runtime.settings.redis
        client = connect(redis.url or "", timeout_s=REDIS_TIMEOUT_S)
        self._inboxes = ShardStore(client, redis.prefix, "worker", Vault.from_runtime(runtime))
        self._node = runtime.node
        self._owners = owners
        self._sender = open_sender()

    def replied(self) -> None:
        """Hand on a reply to a request of ours; 1xx mean nothing to a stream."""
        status = ksr.number("$rs")
        if status >= 200:
            is_probe = probe_port(ksr.text("$ci")) is not None
            self._hand_on(_probe_reply(status) if is_probe else _reply(status))

    def timed_out(self) -> None:
        """Hand on that a request of ours had no final reply."""
        if ksr.is_timeout():
            # The message at hand is our own request: its tags are ours, its To has none.
            reply = SrsReplied(
                call_id=ksr.text("$ci"),
                method=ksr.text("$rm"),
                cseq=ksr.number("$cs"),
                status=408,
                is_timeout=True,
            )
            self._hand_on(reply)

    def stray(self) -> None:
        """Take a 2xx to INVITE that no transaction waits for: a controller sends BYE."""
        status = ksr.number("$rs")
        if 200 <= status < 300 and ksr.text("$rm") == "INVITE":
            self._hand_on(_reply(status))

    def requested(self) -> None:
        """Take a request of the SRS: suspend it, and let the shard's controller answer."""
        method = ksr.text("$rm")
        if method == "ACK":
            ksr.is_known_transaction()
            if ksr.text("$rb"):
                self._hand_on_ack()
            return
        if method == "CANCEL":
            # What may be cancelled is answered within milliseconds (RFC 3261 §9.2).
            if ksr.is_known_transaction():
                ksr.reply_stateless(200, "OK")
            else:
                ksr.reply_stateless(481, "Call/Transaction Does Not Exist")
            return
        if ksr.is_repeat_absorbed():
            return
        leg = parse_leg_call_id(ksr.text("$ci"))
        if leg is None or not ksr.text("$tt"):
            self._refuse_stranger(method)
            return
        self._ask_controller(shard_of_sid(leg.stream_sid), method)

    def _refuse_stranger(self, method: str) -> None:
        ksr.append_reply_header(f"Allow: {ALLOW}\r\n")
        if ksr.text("$tt"):
            ksr.reply_stateless(481, "Call/Transaction Does Not Exist")
        elif method == "OPTIONS":
            ksr.append_reply_header(f"Accept: {ACCEPT}\r\n")
            ksr.reply_stateless(200, "OK")
        else:
            ksr.reply_stateless(405, "Method Not Allowed")

    def _ask_controller(self, shard: int, method: str) -> None:
        if not ksr.new_transaction():
            return
        ksr.set_timers(invite_ms=ANSWER_MS, reply_ms=ANSWER_MS)
        ksr.on_failure(ON_EXPIRED)
        suspended = ksr.suspend()
        if suspended is None:
            ksr.reply(500, "Server Internal Error")
            return
        index, label = suspended
        if not self._append(shard, self._request(method, index, label)):
            ksr.resume(index, label, ON_EXPIRED)

    def _hand_on_ack(self) -> None:
        """Hand on an ACK that brings the answer to an offer of ours; nobody waits for more."""
        leg = parse_leg_call_id(ksr.text("$ci"))
        if leg is not None:
            self._append(shard_of_sid(leg.stream_sid), self._request("ACK", 0, 0))

    def _request(self, method: str, index: int, label: int) -> SrsRequested:
        return SrsRequested(
            node=self._node,
            boot=boot_id(),
            index=index,
            label=label,
            method=method,
            call_id=ksr.text("$ci"),
            from_tag=ksr.text("$ft"),
            to_tag=ksr.text("$tt"),
            cseq=ksr.number("$cs"),
            reason=ksr.header("Reason"),
            contact=ksr.header("Contact"),
            supported=",".join(ksr.headers("Supported")),
            session_expires=ksr.header("Session-Expires"),
            content_type=ksr.text("$cT"),
            body=ksr.text("$rb"),
        )

    def _hand_on(self, reply: SrsReplied) -> None:
        port = probe_port(reply.call_id)
        if port is not None:
            # Nobody else waits for it.
            post(self._sender, port, reply)
            return
        leg = parse_leg_call_id(reply.call_id)
        if leg is None:
            return
        shard = shard_of_sid(leg.stream_sid)
        port = self._owners.port(shard)
        if not (port and post(self._sender, port, reply)):
            self._append(shard, reply)

    def _append(self, shard: int, entry: Entry) -> bool:
        try:
            self._inboxes.append([(shard, entry)])
        except StoreUnavailable as error:
            ksr.log("error", f"a message of the SRS is lost: {error}")
            return False
        return True


def _reply(status: int) -> SrsReplied:
    return SrsReplied(
        call_id=ksr.text("$ci"),
        method=ksr.text("$rm"),
        cseq=ksr.number("$cs"),
        status=status,
        reason=ksr.text("$rr"),
        from_tag=ksr.text("$ft"),
        to_tag=ksr.text("$tt"),
        contact=ksr.header("Contact"),
        routes=tuple(ksr.headers("Record-Route")),
        challenges=_challenges() if status in (401, 407) else (),
        session_expires=ksr.header("Session-Expires"),
        min_se=ksr.header("Min-SE") if status == 422 else "",
        retry_after=ksr.header("Retry-After") if status >= 400 else "",
        content_type=ksr.text("$cT"),
        body=ksr.text("$rb"),
    )


def _challenges() -> tuple[str, ...]:
    names = ("WWW-Authenticate", "Proxy-Authenticate")
    return tuple(f"{name}: {value}" for name in names for value in ksr.headers(name))


def _probe_reply(status: int) -> SrsReplied:
    """Leave out what an answer to OPTIONS says of itself: it may be long."""
    return SrsReplied(
        call_id=ksr.text("$ci"),
        method=ksr.text("$rm"),
        cseq=ksr.number("$cs"),
        status=status,
        reason=ksr.text("$rr"),
        tls=_tls_seen(),
    )


def _tls_seen() -> TlsSeen | None:
    """Read what the TLS proxy notes on answers of recorders, and on none of its own."""
    verified = ksr.header("X-TLS-Verified")
    if not verified:
        return None
    try:
        certificate = base64.b64decode(ksr.header("X-TLS-Certificate")).decode("ascii", "replace")
    except binascii.Error:
        certificate = ""
    return TlsSeen(
        route=ksr.header("X-TLS-Route"),
        verified=verified == "1",
        certificate=certificate,
        version=ksr.header("X-TLS-Version"),
        cipher=ksr.header("X-TLS-Cipher"),
    )
