"""When a process that died is started again, and when the whole run is given up."""

from dataclasses import dataclass, field

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
WINDOW_S = 60.0
MAX_DEATHS = 3


@dataclass(slots=True, kw_only=True)
class Restarts:
    """The deaths of one child. `count` restarts were made since it last lived a minute.

    One that is `patient` never gives up.
    """

    patient: bool = False
    count: int = 0
    deaths_s: list[float] = field(default_factory=list)

    def died(self, now_s: float, lived_s: float) -> float | None:
        """Note a death; give the seconds until the restart, None to give up.

        Three deaths within a minute are one too many.
        """
        self.deaths_s = [at for at in self.deaths_s if now_s - at < WINDOW_S] + [now_s]
        if len(self.deaths_s) >= MAX_DEATHS and not self.patient:
            return None
        if lived_s >= WINDOW_S:
            self.count = 0
        self.count += 1
        return BACKOFF_S[min(self.count, len(BACKOFF_S)) - 1]
