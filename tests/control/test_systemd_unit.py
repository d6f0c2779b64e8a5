"""The unit for systemd: it restarts what ends, as a user who may do little."""

from pathlib import Path

from siprec_control.cli import parser

UNIT = Path(__file__).parents[2] / "deploy" / "kamailio-siprec.service"


def unit() -> dict[str, dict[str, list[str]]]:
    """Give the sections of the unit: each key with all its values."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


def test_unit_runs_the_stack_and_restarts_it_whatever_ended_it() -> None:
    service = unit()["Service"]
    (command,) = service["ExecStart"]
    program, *words = command.split()
    assert (Path(program).name, words) == ("siprec", ["run"])
    assert parser().parse_args(words)
    assert service["Restart"] == ["always"]
    # `siprec run` ends all its programs; what is left after this time is killed with it.
    assert (service["KillMode"], service["TimeoutStopSec"]) == (["mixed"], ["10"])


def test_unit_is_sandboxed_and_not_root() -> None:
    service = unit()["Service"]
    assert service["User"] == service["Group"] == ["siprec"]
    assert service["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]
    assert service["NoNewPrivileges"] == service["PrivateDevices"] == ["yes"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["UMask"] == ["0077"]


def test_unit_keeps_state_and_settings_where_the_stack_looks_for_them() -> None:
    service = unit()["Service"]
    named = dict(each.split("=", 1) for each in service["Environment"])
    (state,) = service["StateDirectory"]
    assert named["SIPREC_STATE"].startswith(f"/var/lib/{state}/")
    assert named["SIPREC_CONFIG"].startswith("/etc/")
