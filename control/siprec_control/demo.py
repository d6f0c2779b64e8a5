"""`make demo`: one real call between two endpoints that speak, recorded twice, and checked.

The second recording, of one voice, goes over TLS and SRTP.

DEMO_DIR names an empty or new working folder (default: a temporary one, removed at the end).
KEEP=1 leaves everything running until Ctrl-C. The files go to ./demo-output.
"""

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from siprec.model import Call, Stream
from siprec.store import Store, StoreUnavailable
from siprec_control.demo_checks import (
    Check,
    Recording,
    Sent,
    check_caller_only,
    check_secured,
    check_whole,
    report,
)
from siprec_control.demo_stack import (
    CA,
    CALLED,
    DIALLED,
    KEPT_LOGS,
    MAKE_CA,
    Site,
    wait_for,
)
from siprec_control.demo_story import read_events, tell
from siprec_control.demo_voices import CALLEE, CALLER, DemoFailed, Spoken, read_wav, speak
from siprec_control.errors import ControlError
from siprec_control.layout import find_layout
from siprec_control.state import read_runtime, state_folder

OUTPUT = Path(KEPT_LOGS).parent
WHOLE = "whole-call"
PART = "caller-only"
PART_ORDER = ("--connector", "Secure", "--name", PART, "--track", "inbound_track")
PARAMETER = ("OrderNumber", "4711")

# Long enough for the commands on a machine that is busy.
TALK_S = 13.0
BEFORE_PART_S = 2.0
PART_S = 2.5

TWIML = f"""\
<Response>
  <Start>
    <Siprec name="{WHOLE}" connectorName="Recorder" track="both_tracks">
      <Parameter name="{PARAMETER[0]}" value="{PARAMETER[1]}"/>
    </Siprec>
  </Start>
  <Dial><Number>{DIALLED}</Number></Dial>
</Response>
"""


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


class Demo:
    """One run, in the folder of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._scenarios = find_layout().home / "sipp-scenarios" / "demo"
        self._keeps = os.environ.get("KEEP", "") not in ("", "0")

    def run(self) -> bool:
        """Do all of it; tell whether every check holds.

        Raises:
            DemoFailed: something did not start, or a command was refused.
        """
        voices = self._prepare()
        self._configure()
        with self._open_store() as store:
            call = self._place_call(store)
            call, streams = self._wait_until_over(store, call.sid)
            alerts = [alert.text for alert in store.alerts()]
        story = tell(call, streams, self._events)
        say("\nWhat happened, in seconds since the call was dialled:\n")
        say("\n".join(story))
        recordings = self._recordings(streams)
        files = self._keep_files(voices, recordings, story)
        say("\nThe files:\n")
        say("\n".join(f"  {path}" for path in files))
        say("\nIs everything where it should be?\n")
        is_good = report(self._checks(voices, recordings, call, alerts), say)
        if self._keeps:
            with suppress(KeyboardInterrupt):
                self._stay()
        return is_good

    @property
    def _events(self) -> Path:
        return self._site.logs / "recorder.jsonl"

    def _prepare(self) -> list[Spoken]:
        say(f"Two voices are made: {CALLER.name} calls, {CALLEE.name} is called.")
        voices = [speak(voice, self._site.folder) for voice in (CALLER, CALLEE)]
        self._site.make_certificates()
        self._site.start_recorder()
        at, tls_at = self._site.recorder_at, self._site.recorder_tls_at
        say(f"$ siprec-srs {shlex.join(MAKE_CA)}")
        say("  a CA that vouches for the recorder: ca.pem")
        say(f"A recorder (the reference SRS) listens at {at}, and for TLS at {tls_at}.")
        self._site.start_stack()
        say(f"Redis, rtpengine and Kamailio run; calls go to 127.0.0.1:{self._site.sip}.\n")
        return voices

    def _configure(self) -> None:
        twiml = self._site.folder / "pizza.xml"
        twiml.write_text(TWIML)
        srs = f"sip:{self._site.recorder_at}"
        secure_srs = f"sip:{self._site.recorder_tls_at};secure=true"
        self._type("connector", "set", "Recorder", "--srs", srs)
        ca = ("--tls-ca", f"{CA}/ca.pem")
        self._type("connector", "set", "Secure", "--srs", secure_srs, *ca)
        self._type("number", "set", CALLED, "--twiml", "pizza.xml")
        say("\npizza.xml says what a call to this number does:\n")
        say("".join(f"    {line}\n" for line in TWIML.splitlines()))

    def _type(self, *words: str) -> None:
        say(f"$ siprec {shlex.join(words)}")
        say(f"  {self._site.command(*words)}")

    def _open_store(self) -> Store:
        redis = read_runtime(state_folder(str(self._site.state))).settings.redis
        return Store.connect(redis.url or "", redis.prefix)

    def _place_call(self, store: Store) -> Call:
        """Let the two phones talk; record the middle a second time."""
        callee = self._site.start_callee(self._scenarios, calls=None if self._keeps else 1)
        caller = self._site.start_caller(self._scenarios, TALK_S)

        def recorded() -> str | None:
            callee.check()
            caller.check()
            return _recorded_call(store)

        sid = wait_for(recorded, 10, f"the call is not recorded; see {KEPT_LOGS}/siprec-run.log")
        say(f"{CALLER.name} talks with {CALLEE.name}: call {sid}, recorded as {WHOLE}.\n")
        time.sleep(BEFORE_PART_S)
        self._type("stream", "start", sid, *PART_ORDER, "--wait")
        time.sleep(PART_S)
        self._type("stream", "stop", PART, "--call", sid, "--wait")
        caller.wait_end(TALK_S + 20)
        if not self._keeps:
            callee.wait_end(10)
        call = store.call(sid)
        if call is None:
            raise DemoFailed(f"call {sid} is gone from the store")
        return call

    def _wait_until_over(self, store: Store, sid: str) -> tuple[Call, list[Stream]]:
        def over() -> str | None:
            call, streams = store.call(sid), store.streams(sid)
            ended = call is not None and call.ended_ms is not None
            return sid if ended and all(s.state.is_final for s in streams) else None

        def closed() -> str | None:
            ended = [event for event in read_events(self._events) if event["event"] == "ended"]
            return sid if len(ended) >= 2 else None

        wait_for(over, 10, "the recordings do not end")
        wait_for(closed, 10, "the recorder does not close its files")
        call, streams = store.call(sid), store.streams(sid)
        if call is None:
            raise DemoFailed(f"call {sid} is gone from the store")
        return call, streams

    def _recordings(self, streams: list[Stream]) -> dict[str, Recording]:
        names = {leg.call_id: s.order.name for s in streams for leg in s.legs}
        found = {}
        for event in read_events(self._events):
            name = names.get(str(event["call_id"]))
            if event["event"] == "invite" and name is not None:
                found[name] = Recording.read(name, Path(str(event["folder"])))
        missing = {WHOLE, PART} - found.keys()
        if missing:
            raise DemoFailed(f"the recorder has nothing of {', '.join(sorted(missing))}")
        return found

    def _keep_files(
        self, voices: list[Spoken], recordings: dict[str, Recording], story: list[str]
    ) -> list[str]:
        """Copy what is worth looking at into ./demo-output; list the paths."""
        sent = OUTPUT / "sent"
        sent.mkdir()
        for spoken in voices:
            shutil.copy(spoken.wav, sent)
        for name, recording in recordings.items():
            shutil.copytree(recording.folder, OUTPUT / name)
        (OUTPUT / "timeline.txt").write_text("\n".join(story) + "\n")
        return [
            *sorted(str(path) for path in OUTPUT.rglob("*") if path.is_file()),
            f"{OUTPUT / 'logs'}/",
        ]

    def _checks(
        self,
        voices: list[Spoken],
        recordings: dict[str, Recording],
        call: Call,
        alerts: list[str],
    ) -> list[Check]:
        talk_s = ((call.ended_ms or 0) - (call.answered_ms or 0)) / 1000
        caller, callee = (read_wav(spoken.wav)[0] for spoken in voices)
        sent = Sent(caller=caller, callee=callee)
        whole, part = recordings[WHOLE], recordings[PART]
        alerted = f"alerts were raised: {'; '.join(alerts)}" if alerts else "no alert was raised"
        return [
            *check_whole(whole, sent, PARAMETER, talk_s),
            *check_caller_only(part, whole, sent),
            *check_secured(part, f"{CA}/ca.pem"),
            Check(not alerts, alerted),
        ]

    def _stay(self) -> None:
        site = self._site
        again = shlex.join(site.call_command(self._scenarios, TALK_S))
        say("\nEverything stays up (KEEP=1). Ctrl-C ends it.\n")
        say(f"Call again:     cd {site.folder} && {again}")
        say(f"Look at calls:  siprec call list --all --state {site.state}")
        order = f"CALL {shlex.join(PART_ORDER)}"
        say(f"Record a call:  siprec stream start {order} --state {site.state}")
        say(f"Recordings:     {site.recordings}")
        while True:
            signal.pause()


def _recorded_call(store: Store) -> str | None:
    live = store.streams(live_only=True)
    return next((s.call_sid for s in live if s.recording_ms is not None), None)


def main() -> int:
    """Run the demo; 0 when every check holds, else 1."""
    signal.signal(signal.SIGTERM, _interrupt)
    named = os.environ.get("DEMO_DIR")
    folder = Path(named or tempfile.mkdtemp(prefix="siprec-demo-")).absolute()
    started_s = time.monotonic()
    try:
        _clear_output()
        is_good = _run_in(folder)
    except (DemoFailed, ControlError, StoreUnavailable) as error:
        say(f"\ndemo: FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        say("\ndemo: ended")
        return 130
    finally:
        if named is None:
            shutil.rmtree(folder, ignore_errors=True)
    took = f"after {time.monotonic() - started_s:.0f} s"
    if is_good:
        say(f"\ndemo: everything is as it should be, {took}")
    else:
        say(f"\ndemo: FAILED: a check does not hold (see above), {took}")
    return 0 if is_good else 1


def _run_in(folder: Path) -> bool:
    site = Site(folder)
    try:
        return Demo(site).run()
    finally:
        site.stop()
        shutil.copytree(site.logs, KEPT_LOGS, dirs_exist_ok=True)


def _clear_output() -> None:
    """Remove the files of the last demo."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
