"""The activities of ordinary attempts as lines of PROV-JSON, each put together at once."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING

from gpwf.core.plan import Task
from gpwf.core.runs import AttemptFinished, AttemptStarted, Resources, TaskCached
from gpwf.prov.included import coordinates_of
from gpwf.prov.json_values import encoded, several
from gpwf.prov.recorder import json_text

if TYPE_CHECKING:
    from gpwf.prov.json_recorder import JsonRecorder
    from gpwf.prov.json_values import Notes

__all__ = ["MOST_TEXTS", "QuickActivities", "is_plain"]

#: Texts that are kept of each sort.
MOST_TEXTS = 1024


class QuickActivities:
    """Writes the activities of ordinary attempts for a recorder.

    Parameters
    ----------
    recorder : JsonRecorder
        Whose lines it writes.
    """

    def __init__(self, recorder: JsonRecorder) -> None:
        self._to = recorder
        self._process = recorder.types[("wfprov:ProcessRun",)]
        self._hit = recorder.types["wfprov:ProcessRun", "gpwf:CacheHit"]
        self._places: dict[tuple[str, str, int], str] = {}

    def attempt(
        self,
        local: str,
        task: Task,
        begun: AttemptStarted,
        ended: AttemptFinished,
        times: tuple[datetime, datetime],
        notes: Notes,
        responsible: tuple[str, str, tuple[str, ...]],
    ) -> bool:
        """Write the activity of an attempt, its start and its associations.

        Parameters
        ----------
        local : str
            Local name of the activity.
        task, begun, ended, times
            A first attempt that went well, and when it began and ended.
        notes : prepared attributes
            What it has in common with others.
        responsible : tuple
            Local names of the run, of the engine, and of the plans.

        Returns
        -------
        bool
            False where something is not ordinary; nothing is written then.
        """
        to, name, key = self._to, quote(task.id), begun.key
        if "\\u" in name or not is_plain(key):
            return False
        if not to.begin_new(local, *times, _texts(ended.started, ended.ended)):
            return False
        to.lines["activity"].append(
            f'"gpwf:{local}":{{"prov:startTime":{to.start_text},"prov:endTime":{to.end_text}'
            f'{self._process}{notes.text},"prov:label":{name[:-1]}, attempt 1","gpwf:task":{name}'
            f'{self._own(task)},"gpwf:attempt":{{"$":"1","type":"xsd:int"}},"gpwf:state":"ok"'
            f',"gpwf:taskKey":"{key}"{self._used(begun.worker, ended.resources)}}}'
        )
        run, engine, plans = responsible
        self._started(local, run)
        self._associated(local, engine, plans)
        return True

    def original(
        self,
        local: str,
        task: Task,
        event: TaskCached,
        times: tuple[datetime, datetime],
        notes: Notes,
        run: str,
    ) -> bool:
        """Write the activity of the attempt of an earlier run that made a cached result.

        Parameters
        ----------
        local : str
            Local name of the activity, which is not declared yet.
        task, event, times
            What was found, and when it was made.
        notes : prepared attributes
            What it has in common with others.
        run : str
            Local name of the earlier run.

        Returns
        -------
        bool
            False where something is not ordinary; nothing is written then.
        """
        to, name, key = self._to, quote(task.id), event.key
        texts = _texts(event.made_started, event.made_ended)
        if "\\u" in name or not is_plain(key) or texts is None:
            return False
        if not to.begin_new(local, *times, texts):
            return False
        to.lines["activity"].append(
            f'"gpwf:{local}":{{"prov:startTime":{texts[0]},"prov:endTime":{texts[1]}'
            f'{self._process}{notes.text},"prov:label":{name[:-1]}, made by an earlier run"'
            f',"wfprov:wasPartOfWorkflowRun":{{"$":"gpwf:{run}","type":"xsd:QName"}}'
            f'{self._chance(task)},"gpwf:taskKey":"{key}"}}'
        )
        self._started(local, run)
        return True

    def cached(
        self,
        local: str,
        task: Task,
        event: TaskCached,
        time: datetime,
        notes: Notes,
        responsible: tuple[str, str, tuple[str, ...]],
    ) -> bool:
        """Write the activity that took a cached result, its start and its associations.

        The parameters are those of `attempt`; ``time`` is that of the event.
        """
        to, name, key = self._to, quote(task.id), event.key
        texts = _texts(event.time, event.time)
        if "\\u" in name or not is_plain(key) or texts is None:
            return False
        if not to.begin_new(local, time, time, texts):
            return False
        to.lines["activity"].append(
            f'"gpwf:{local}":{{"prov:startTime":{texts[0]},"prov:endTime":{texts[0]}'
            f'{self._hit}{notes.text},"prov:label":{name[:-1]}, cached","gpwf:task":{name}'
            f'{self._own(task)},"gpwf:taskKey":"{key}"}}'
        )
        run, engine, plans = responsible
        self._started(local, run)
        self._associated(local, engine, plans)
        return True

    def _started(self, local: str, run: str) -> None:
        self._to.lines["wasStartedBy"].append(
            f'"gpwf:sta-{local}":{{"prov:activity":"gpwf:{local}","prov:starter":"gpwf:{run}"'
            f',"prov:time":{self._to.start_text}}}'
        )

    def _associated(self, local: str, engine: str, plans: tuple[str, ...]) -> None:
        for plan in plans:
            content = f'["gpwf-prov-ass/1","{local}","{engine}","{plan}"]'
            number = sha256(content.encode()).hexdigest()
            self._to.lines["wasAssociatedWith"].append(
                f'"gpwf:ass-{number}":{{"prov:activity":"gpwf:{local}",'
                f'"prov:agent":"gpwf:{engine}","prov:plan":"gpwf:{plan}"}}'
            )

    @staticmethod
    def _chance(task: Task) -> str:
        """Return what tells the random numbers of a task."""
        text = ""
        seed = task.settings.get("seed")
        if seed is not None and (word := encoded(seed)):
            text = f',"gpwf:seed":{word}'
        if task.stream:
            text += f',"gpwf:stream":"[{",".join(map(str, task.stream))}]"'
        return text

    def _own(self, task: Task) -> str:
        """Return what a task does not share with the others of its step."""
        text = self._chance(task)
        if task.coordinates:
            parts = []
            for axis, value in task.coordinates.items():
                words = value if type(value) is str else json_text(value)
                parts.append(quote(f"{axis}={words}"))
            joined = several(parts)
            if "\\u" in joined:
                joined = several([encoded(word) for _, word in coordinates_of(task.coordinates)])
            text += f',"gpwf:coordinate":{joined}'
        return text

    def _used(self, worker: str, used: Resources) -> str:
        """Return what an attempt used, and where it ran."""
        place = worker, used.host, used.pid
        text = self._places.get(place)
        if text is None:
            pairs = (("worker", worker), ("host", used.host), ("pid", used.pid or None))
            text = self._to.prepare(pairs).text
            if len(self._places) < MOST_TEXTS:
                self._places[place] = text
        text += f',"gpwf:wallTime_s":{encoded(used.wall_s)}'
        if used.cpu_s:
            text += f',"gpwf:cpuTime_s":{encoded(used.cpu_s)}'
        if used.peak_rss_bytes:
            text += f',"gpwf:peakMemory_B":{encoded(used.peak_rss_bytes)}'
        return text


def _texts(one: str, two: str) -> tuple[str, str] | None:
    """Return the JSON texts of times of an activity, where they need not be taken apart."""
    if not (_is_usual(one) and _is_usual(two)):
        return None
    return f'"{one[:-1]}+00:00"', f'"{two[:-1]}+00:00"'


def _is_usual(time: str) -> bool:
    """Return True for a time, known to be one, that is written as the engine writes it."""
    return (
        len(time) == 27
        and time[26] == "Z"
        and time[19] == "."
        and time[10] == "T"
        and time[7] == "-"
        and time[20:26] != "000000"
    )


def is_plain(digest: str) -> bool:
    """Return True for a digest that is one."""
    return digest.isalnum() and digest.isascii()
