"""Sends requests to recorders through tm, and finishes suspended requests of theirs.

tm runs the event callback inside t_uac_send, and the continue handler inside t_continue: what
they need is left here for them. One per controller process.
"""

import json
from dataclasses import dataclass

from siprec.srs_dialog import Answer
from siprec_kemi import ksr
from siprec_kemi.src.requests import Outgoing

ON_REPLY = "ksr_srs_reply"
ON_FAILURE = "ksr_srs_failure"
ON_CONTINUE = "ksr_srs_continue"


@dataclass(slots=True)
class Pending:
    """What the hooks that run inside a call into tm are to use."""

    request: Outgoing | None = None
    answer: Answer | None = None
    contact: str = ""


class Sender:
    """The controller's way to the wire."""

    def __init__(self) -> None:
        self._pending = Pending()

    def send(self, request: Outgoing) -> bool:
        """Send a request; its reply or timeout comes to the SIP workers' hooks."""
        self._pending.request = request
        try:
            return ksr.send_request(
                method=request.method,
                uri=request.uri,
                next_hop=request.next_hop,
                socket=request.socket,
                headers=request.headers,
                body=request.body,
            )
        finally:
            self._pending.request = None

    def prepare(self) -> None:
        """Hook: set the timers and handlers of the request that is being sent."""
        ksr.on_reply(ON_REPLY)
        ksr.on_failure(ON_FAILURE)
        request = self._pending.request
        if request is None:
            return
        ksr.set_timers(invite_ms=request.invite_ms, reply_ms=request.reply_ms)
        for header in request.risky_headers:
            ksr.append_header(header)

    def cancel(self, call_id: str, cseq: int) -> None:
        """Cancel an INVITE; one that is not ours or is over is left alone."""
        # The transaction of another life of this Kamailio is gone: that is no fault.
        request = {"jsonrpc": "2.0", "method": "tm.cancel", "params": [call_id, str(cseq)], "id": 1}
        ksr.log("info", f"{call_id} cancel: {ksr.rpc(json.dumps(request))}")

    def answer(self, index: int, label: int, answer: Answer, contact: str) -> bool:
        """Answer a suspended request of this Kamailio."""
        self._pending.answer, self._pending.contact = answer, contact
        try:
            return ksr.resume(index, label, ON_CONTINUE)
        finally:
            self._pending.answer = None

    def answer_now(self) -> None:
        """Hook: send the answer of the transaction that is being continued."""
        answer = self._pending.answer
        if answer is None:
            ksr.reply(500, "Server Internal Error")
            return
        if 200 <= answer.status < 300:
            ksr.append_reply_header(f"Contact: {self._pending.contact}\r\n")
        for name, value in answer.headers.items():
            ksr.append_reply_header(f"{name}: {value}\r\n")
        if answer.sdp:
            ksr.set_reply_body(answer.sdp, "application/sdp")
        ksr.reply(answer.status, answer.reason)
