"""Live calls that Twilio's SDK makes follow documents, and web servers that have some."""

from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from twilio.rest import Client

from siprec.alerts import Alert
from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer
from tests.scenarios.polling import poll
from tests.scenarios.stack import Settings
from tests.scenarios.stage import Stage, dial
from tests.scenarios.test_callbacks import token_of
from tests.web.servers import Answer, Asked, say

SETTINGS: Settings = {
    "control": {
        "allow_private_urls": ["127.0.0.0/8"],
        "requests_per_s": 1000,
        "requests_burst": 5000,
    }
}
START = '<Start><Siprec name="live"/></Start>'
STOP = '<Stop><Siprec name="live"/></Stop>'
AGAIN = '<Start><Siprec name="again"/></Start>'
WAIT_S = 30.0


def document(*verbs: str) -> str:
    """Write a document."""
    return f"<Response>{''.join(verbs)}</Response>"


def doc(*verbs: str) -> Answer:
    """Answer with a document."""
    return say(200, document(*verbs).encode(), {"Content-Type": "application/xml"})


def by_path(answers: dict[str, Answer]) -> Answer:
    """Answer by the path that is asked for."""

    def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        answers.get(urlsplit(asked.path).path, say(404))(handler, asked)

    return reply


class Calls:
    """A stack, Twilio's client for it, and calls that nobody records yet."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.token = token_of(stage)
        sid = stage.stack.runtime.settings.account.sid
        self.client = Client(sid, self.token, sid)
        self.client.api.base_url = f"http://127.0.0.1:{stage.stack.api_port}"

    def answered(self) -> tuple[Phone, Phone, str]:
        """Place a call; give both ends and its sid."""
        caller, callee = self.stage.pair()
        caller.invite(self.stage.number(dial(callee)))
        answer(caller, callee)
        return caller, callee, self.stage.wait_call(caller).sid

    def states(self, caller: Phone) -> dict[str, StreamState]:
        """Give the streams of a call by name."""
        return {each.order.name: each.state for each in self.stage.streams(caller)}

    def wait(self, caller: Phone, name: str, state: StreamState) -> None:
        """Wait until a stream is in that state."""
        poll(
            lambda: self.states(caller).get(name) is state,
            WAIT_S,
            why=lambda: f"{self.states(caller)}, {self.stage.alerts(caller)}",
        )

    def alerts(self, caller: Phone, count: int = 1) -> list[Alert]:
        """Wait for so many alerts of a call."""
        return poll(
            lambda: found if len(found := self.stage.alerts(caller)) >= count else None,
            WAIT_S,
            why=lambda: str(self.stage.alerts(caller)),
        )

    def done(self, sid: str) -> None:
        """Wait until a call follows no document any more."""
        store = self.stage.stack.store.documents
        account = self.client.account_sid
        poll(lambda: store.count(account) == 0, WAIT_S, why=lambda: f"{sid} follows one")
