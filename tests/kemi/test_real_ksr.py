"""The strict KSR of the tests is Kamailio's own: same names, same types."""

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kemi.strict_ksr import SIGNATURES
from tests.rtpengine.daemon import free_udp_port

pytestmark = pytest.mark.daemon

ROOT = Path(__file__).parents[2]
FACADES = (ROOT / "kemi/siprec_kemi/ksr.py", ROOT / "kemi/siprec_kemi/ksr_proxy.py")
WITHIN_S = 30.0

_CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
kemi.onsend_route_callback="none"
kemi.reply_route_callback="none"
{mpath}
{modules}
modparam("jsonrpcs", "transport", 8)
modparam("app_python3", "load", "{script}")
modparam("rtimer", "timer", "name=list;interval=1;mode=1;")
modparam("rtimer", "exec", "timer=list;route=ksr_list")
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:9")
cfgengine "python"
"""
_SCRIPT = """
import os
import KSR

class Lister:
    def child_init(self, rank):
        return 1

    def ksr_request_route(self, message):
        return 1

    def ksr_list(self, message, name):
        KSR.jsonrpcs.exec('{{"jsonrpc": "2.0", "method": "app_python.api_list", "id": 1}}')
        with open({reply!r} + ".part", "w") as reply:
            reply.write(KSR.pv.get("$jsonrpl(body)"))
        os.rename({reply!r} + ".part", {reply!r})
        return 1

def mod_init():
    return Lister()
"""


def used_by_facades() -> set[str]:
    """Give the KSR functions that the façades call."""
    names = set()
    for path in FACADES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).replace("getattr(KSR, 'async')", "KSR.async")
                if name.startswith("KSR."):
                    names.add(name.removeprefix("KSR."))
    return names


def lines_of_config(start: str) -> list[str]:
    """Give the lines of kamailio.cfg that begin so."""
    lines = (ROOT / "kamailio.cfg").read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith(start)]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """Give what a real Kamailio with our modules says it offers to Python."""
    folder = tmp_path_factory.mktemp("kamailio")
    reply, script, config = (folder / name for name in ("reply.json", "lister.py", "list.cfg"))
    script.write_text(_SCRIPT.format(reply=str(reply)))
    (mpath,) = lines_of_config("mpath")
    modules = "\n".join(lines_of_config("loadmodule"))
    config.write_text(_CONFIG.format(mpath=mpath, modules=modules, script=script))
    listen = f"udp:127.0.0.1:{free_udp_port()}"
    command = ["kamailio", "-f", str(config), "-DD", "-E", "-l", listen, "-n", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-Y", str(folder)], stdout=log, stderr=log)
        try:
            until = time.monotonic() + WITHIN_S
            while not reply.exists():
                if process.poll() is not None or time.monotonic() > until:
                    pytest.fail((folder / "log").read_text("utf-8", "replace"))
                time.sleep(0.02)
            yield _signatures(json.loads(reply.read_text("utf-8")))
        finally:
            process.terminate()
            process.wait(WITHIN_S)


def _signatures(reply: dict[str, Any]) -> dict[str, tuple[str, str]]:
    functions = [method["func"] for method in reply["result"]["methods"]]
    return {
        f"{f['module']}.{f['name']}".removeprefix("."): (f["ret"], f["params"]) for f in functions
    }


def test_strict_ksr_has_all_that_the_facades_use() -> None:
    assert not used_by_facades() - set(SIGNATURES)


def test_strict_ksr_has_the_types_of_kamailio(listed: dict[str, tuple[str, str]]) -> None:
    assert {name: listed.get(name) for name in SIGNATURES} == dict(SIGNATURES)


def test_ksr_is_touched_in_the_facades_only() -> None:
    touched = {
        path
        for path in (ROOT / "kemi").rglob("*.py")
        if any(line.startswith("import KSR") for line in path.read_text("utf-8").splitlines())
    }
    assert touched == set(FACADES)
    assert sys.modules["KSR"].__class__.__name__ == "StrictKsr"
