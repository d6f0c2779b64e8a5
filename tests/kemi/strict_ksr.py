"""A small strict KSR: the functions that the façades use, with the types that Kamailio takes.

An unknown name raises AttributeError, a wrong type TypeError. test_real_ksr holds SIGNATURES
against Kamailio itself.
"""

import re
from collections.abc import Callable, Mapping

Value = int | str | None

# What each function returns and takes, in the words of the RPC `app_python.api_list`.
SIGNATURES: Mapping[str, tuple[str, str]] = {
    "async.ms_route": ("int", "str, int"),
    "async.route": ("int", "str, int"),
    "corex.append_branch_uri": ("int", "str"),
    "dialog.dlg_manage": ("int", "none"),
    "force_rport": ("bool", "none"),
    "hdr.append": ("int", "str"),
    "hdr.append_to_reply": ("int", "str"),
    "htable.sht_get": ("xval", "str, str"),
    "htable.sht_rm": ("int", "str, str"),
    "htable.sht_sets": ("int", "str, str, str"),
    "is_myself_ruri": ("bool", "none"),
    "jsonrpcs.exec": ("int", "str"),
    "log": ("none", "str, str"),
    "maxfwd.process_maxfwd": ("int", "int"),
    "nathelper.handle_ruri_alias": ("int", "none"),
    "nathelper.nat_uac_test": ("int", "int"),
    "nathelper.set_contact_alias": ("int", "none"),
    "pike.pike_check_req": ("int", "none"),
    "pv.get": ("xval", "str"),
    "pv.is_null": ("bool", "str"),
    "pv.sets": ("bool", "str, str"),
    "rr.add_rr_param": ("int", "str"),
    "rr.loose_route": ("int", "none"),
    "rr.record_route": ("int", "none"),
    "rtpengine.rtpengine_answer": ("int", "str"),
    "rtpengine.rtpengine_delete": ("int", "str"),
    "rtpengine.rtpengine_offer": ("int", "str"),
    "rtpengine.set_rtpengine_set": ("int", "int"),
    "sanity.sanity_check": ("int", "int, int"),
    "seturi": ("bool", "str"),
    "siputils.has_totag": ("int", "none"),
    "sl.sl_send_reply": ("int", "int, str"),
    "textops.has_body": ("int", "none"),
    "textops.has_body_type": ("int", "str"),
    "textops.replace_body_str": ("int", "str, str, str"),
    "textops.set_body": ("int", "str, str"),
    "textops.set_reply_body": ("int", "str, str"),
    "textopsx.msg_apply_changes": ("int", "none"),
    "tm.t_branch_timeout": ("int", "none"),
    "tm.t_check_trans": ("int", "none"),
    "tm.t_get_status_code": ("int", "none"),
    "tm.t_is_canceled": ("int", "none"),
    "tm.t_newtran": ("int", "none"),
    "tm.t_on_failure": ("int", "str"),
    "tm.t_on_reply": ("int", "str"),
    "tm.t_relay": ("int", "none"),
    "tm.t_reply": ("int", "int, str"),
    "tm.t_set_fr": ("int", "int, int"),
    "tm.t_uac_send": ("int", "str, str, str, str, str, str"),
    "tmx.t_continue": ("int", "int, int, str"),
    "tmx.t_suspend": ("int", "none"),
}

_TYPES = {"str": str, "int": int}
_HEXA = re.compile(r"\$\((.*)\{s\.encode\.hexa\}\)\Z")


class StrictKsr:
    """Stands where `import KSR` looks. Functions return 1 unless `returns` says otherwise.

    `variables` are the pseudo-variables; a value of bytes reads as Kamailio 5.6 reads what is
    not UTF-8: it raises, and its hexadecimal form can be had. `inside` names hooks that
    Kamailio runs inside a call, such as tm's event callback inside `t_uac_send`.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Value, ...]]] = []
        self.returns: dict[str, Value] = {}
        self.variables: dict[str, Value | bytes] = {}
        self.inside: dict[str, Callable[[], None]] = {}

    def reset(self) -> None:
        """Forget what a test before did."""
        self.__init__()  # type: ignore[misc]

    def __getattr__(self, name: str) -> "_Names":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Names(self, name)

    def named(self, function: str) -> list[tuple[Value, ...]]:
        """Give the arguments of all calls of a function."""
        return [arguments for name, arguments in self.calls if name == function]

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """Do what Kamailio does at a call: check types, return a value."""
        if name not in SIGNATURES:
            raise AttributeError(f"Kamailio has no KSR.{name} that the façades may use")
        returned, parameters = SIGNATURES[name]
        kinds = [] if parameters == "none" else parameters.split(", ")
        if [type(argument) for argument in arguments] != [_TYPES[kind] for kind in kinds]:
            raise TypeError(f"KSR.{name}({parameters}) was given {arguments!r}")
        if any(isinstance(argument, str) and "\0" in argument for argument in arguments):
            raise SystemError(f"KSR.{name}: a text with NUL")
        self.calls.append((name, arguments))
        if name.startswith("pv."):
            return self._variable(name, *(str(argument) for argument in arguments))
        if name in self.inside:
            self.inside[name]()
        return self.returns.get(name, None if returned == "none" else 1)

    def _variable(self, name: str, variable: str, value: str = "") -> Value:
        if name == "pv.sets":
            self.variables[variable] = value
            return 1
        if name == "pv.is_null":
            return self.variables.get(variable) is None
        hexa = _HEXA.match(variable)
        if hexa is not None:
            raw = self.variables.get(f"${hexa[1]}") or self.variables.get(f"$({hexa[1]})")
            return raw.hex() if isinstance(raw, bytes) else None
        found = self.variables.get(variable)
        return found.decode() if isinstance(found, bytes) else found


class _Names:
    """A function, or a module on the way to one."""

    def __init__(self, ksr: StrictKsr, name: str) -> None:
        self._ksr = ksr
        self._name = name

    def __getattr__(self, name: str) -> "_Names":
        return _Names(self._ksr, f"{self._name}.{name}")

    def __call__(self, *arguments: Value) -> Value:
        return self._ksr.call(self._name, arguments)
