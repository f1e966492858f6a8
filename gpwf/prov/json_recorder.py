"""A recorder that writes PROV-JSON as it goes: for runs of any size, in bounded memory.

What it writes reads back as the document that `gpwf.prov.document_recorder` builds, which is
tested for every kind of run. It is fast because a record is one formatted string: names, roles,
types and identifiers need no escaping or are escaped once.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from gpwf.prov.json_attempts import QuickLines
from gpwf.prov.json_sections import MOST_LINES, Section, write_sections
from gpwf.prov.json_texts import JsonTexts
from gpwf.prov.json_values import encoded, moment, quote
from gpwf.prov.recorder import Attributes, Form, plain_value
from gpwf.prov.vocabulary import NAMESPACES, named_id

__all__ = ["JsonRecorder"]

_SECTIONS = (
    "entity",
    "activity",
    "agent",
    "used",
    "wasGeneratedBy",
    "wasInvalidatedBy",
    "wasDerivedFrom",
    "wasStartedBy",
    "wasInformedBy",
    "wasAssociatedWith",
    "actedOnBehalfOf",
    "specializationOf",
    "hadMember",
)
_PREFIXES = ",\n".join(f'"{prefix}":"{uri}"' for prefix, uri in NAMESPACES.items())


_VALUE = ',"prov:value":'
#: After so many activities all sections are looked at; those that a gather fills look themselves.
LOOK_AFTER = 32


class JsonRecorder(JsonTexts):
    """Writes records as they come.

    Parameters
    ----------
    folder : Path
        Folder for temporary files; none is made for a small record.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._sections = {name: Section(folder) for name in _SECTIONS}
        self._all = tuple(self._sections.values())
        self.lines = {name: section.lines for name, section in self._sections.items()}
        self._entities = self.lines["entity"]
        self._used = self.lines["used"]
        self._generated = self.lines["wasGeneratedBy"]
        self._derived = self.lines["wasDerivedFrom"]
        self._started = self.lines["wasStartedBy"]
        self._associated = self.lines["wasAssociatedWith"]
        self._special = self.lines["specializationOf"]
        self._members = self.lines["hadMember"]
        self._declared: set[int] = set()
        self._n_unnamed = self._n_activities = 0
        self.quick = QuickLines(self)
        self._begin("", None, None)

    def reset(self) -> None:
        """Forget all records."""
        for section in self._all:
            section.clear()
        self._declared.clear()
        self._n_unnamed = 0
        self._begin("", None, None)

    def close(self) -> None:
        """Give temporary files back."""
        for section in self._all:
            section.close()

    def write_to(self, stream: IO[bytes]) -> None:
        """Write the document; nothing can be recorded any more."""
        write_sections(stream, self._sections, f'"prefix":{{\n{_PREFIXES}\n}}')

    # ---- what is declared, and what is being recorded -------------------------------------------

    def is_new(self, local: str) -> bool:
        """Tell whether an element was not declared; it is from then on."""
        # Of 64 bits, keyed anew in every process, instead of the name: a run has several elements
        # per task; two of a million have one mark in 4e7 runs.
        mark = hash(local)
        if mark in self._declared:
            return False
        self._declared.add(mark)
        return True

    def has(self, local: str) -> bool:
        """Tell whether an element is declared; not for those declared as ``unique``."""
        return hash(local) in self._declared

    def _begin(
        self,
        activity: str,
        start: datetime | None,
        end: datetime | None,
        texts: tuple[str, str] | None = None,
    ) -> None:
        """Take an activity as the one whose relations follow."""
        self.activity_now = activity
        self._start, self._end = start, end
        if texts is not None:
            self.start_text, self.end_text = texts
        else:
            self.start_text = moment(start)
            self.end_text = self.start_text if end is start else moment(end)
        self._relations: set[str] = set()

    def _time(self, time: datetime | None) -> str:
        """Return the time of a relation, which is mostly one of its activity's."""
        if time is self._start:
            text = self.start_text
        else:
            text = self.end_text if time is self._end else moment(time)
        return f',"prov:time":{text}' if text else ""

    def begin_new(
        self,
        local: str,
        start: datetime | None,
        end: datetime | None,
        texts: tuple[str, str] | None = None,
    ) -> bool:
        """Take an activity that is new as the one whose relations follow; tell whether it is.

        ``texts`` are the JSON texts of its times, where they are known.
        """
        self._n_activities += 1
        if self._n_activities % LOOK_AFTER == 0:
            for section in self._all:
                if len(section.lines) >= MOST_LINES:
                    section.spill()
        if not self.is_new(local):
            return False
        self._begin(local, start, end, texts)
        return True

    def _check(self, activity: str) -> None:
        if activity != self.activity_now:
            raise ValueError(f"a relation of {activity}, but {self.activity_now} is being recorded")

    # ---- elements ---------------------------------------------------------------------------

    def entity(
        self,
        local: str,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        *,
        unique: bool = False,
    ) -> str:
        """Declare an entity and return its local name."""
        if unique or self.is_new(local):
            text = self.types[types] + "".join(self.attributes(attributes).values())
            self._entities.append(f'"gpwf:{local}":{{{text[1:]}}}')
        return local

    def entity_of(
        self,
        form: Form,
        local: str,
        values: tuple[Any, ...],
        notes: Any = None,
        *,
        unique: bool = False,
    ) -> str:
        """Declare an entity of a form by the values of its attributes; return its local name."""
        if unique or self.is_new(local):
            text, keys = self.of_form(form)
            for key, value in zip(keys, values, strict=True):
                if type(value) is str and value:
                    word = quote(value)
                    text += key + (quote(plain_value(value)) if "\\u" in word else word)
                elif value is not None:
                    word = encoded(value)
                    if word:
                        text += key + word
                    elif value == "" and key == _VALUE:
                        text += f'{key}""'
            if notes:
                text += notes.text
            self._entities.append(f'"gpwf:{local}":{{{text}}}')
        return local

    def activity(
        self,
        local: str,
        start: datetime | None,
        end: datetime | None,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        notes: Any = None,
    ) -> str:
        """Declare an activity and return its local name."""
        if self.begin_new(local, start, end):
            text = f',"prov:startTime":{self.start_text}' if start else ""
            text += f',"prov:endTime":{self.end_text}' if end else ""
            text += self.types[types]
            found = self.attributes(attributes)
            if notes:
                if not notes.names.isdisjoint(found):
                    raise ValueError(f"given twice: {sorted(notes.names & found.keys())}")
                text += notes.text
            text += "".join(found.values())
            self.lines["activity"].append(f'"gpwf:{local}":{{{text[1:]}}}')
        return local

    def agent(self, local: str, types: tuple[str, ...] = (), attributes: Attributes = ()) -> str:
        """Declare an agent and return its local name."""
        if self.is_new(local):
            text = self.types[types] + "".join(self.attributes(attributes).values())
            self.lines["agent"].append(f'"gpwf:{local}":{{{text[1:]}}}')
        return local

    # ---- relations --------------------------------------------------------------------------

    def used(
        self,
        activity: str,
        entity: str,
        role: str,
        time: datetime | None,
        notes: Any = None,
        again: int | None = None,
    ) -> str:
        """Say that an activity used an entity in a role; return the name of the usage."""
        if activity != self.activity_now:
            self._check(activity)
        word = self.quoted[role]
        number = "" if again is None else f",{again}"
        local = named_id("use", f'"{activity}","{entity}",{word}{number}')
        if local in self._relations:
            return local
        self._relations.add(local)
        self._used.append(
            f'"gpwf:{local}":{{"prov:activity":"gpwf:{activity}","prov:entity":"gpwf:{entity}"'
            f'{self._time(time)},"prov:role":{word}{notes.text if notes else ""}}}'
        )
        if len(self._used) >= MOST_LINES:
            self._sections["used"].spill()
        return local

    def usage(self, entity: str, role: str, notes: Any = None) -> tuple[bytes, str, str]:
        """Return what the name of a usage is made of, and its text before and after the time."""
        word = self.quoted[role]
        return (
            f'","{entity}",{word}]'.encode(),
            f'","prov:entity":"gpwf:{entity}"',
            f',"prov:role":{word}{notes.text if notes else ""}}}',
        )

    def used_all(self, activity: str, usages: Iterable[Any], time: datetime | None) -> None:
        """Say that an activity used entities, each in a role of its own."""
        self._check(activity)
        # As `used`, without what is the same for all: most records of a run are made here.
        begin, when, append = f'["gpwf-prov-use/1","{activity}', self._time(time), self._used.append
        head = begin.encode()
        for name, before, after in usages:
            local = sha256(head + name).hexdigest()
            append(f'"gpwf:use-{local}":{{"prov:activity":"gpwf:{activity}{before}{when}{after}')
        if len(self._used) >= MOST_LINES:
            self._sections["used"].spill()

    def generated(self, entity: str, activity: str, role: str, time: datetime | None) -> str:
        """Say that an activity made an entity, once; return the name of the generation."""
        self._check(activity)
        local = f"gen-{entity}"
        if local not in self._relations:
            self._relations.add(local)
            self._generated.append(
                f'"gpwf:{local}":{{"prov:entity":"gpwf:{entity}","prov:activity":"gpwf:{activity}"'
                f'{self._time(time)},"prov:role":{self.quoted[role]}}}'
            )
        return local

    def logged(self, log: str, activity: str) -> None:
        """Say that an activity, declared earlier, made its log."""
        local = f"gen-{log}"
        self._generated.append(
            f'"gpwf:{local}":{{"prov:entity":"gpwf:{log}","prov:activity":"gpwf:{activity}",'
            f'"prov:role":{self.quoted["out.log"]}}}'
        )
        if len(self._generated) >= MOST_LINES:
            self._sections["wasGeneratedBy"].spill()

    def invalidated(self, entity: str, activity: str, time: datetime | None) -> None:
        """Say that an entity ended with an activity."""
        self._check(activity)
        local = named_id("inv", f'"{entity}","{activity}"')
        self.lines["wasInvalidatedBy"].append(
            f'"gpwf:{local}":{{"prov:entity":"gpwf:{entity}","prov:activity":"gpwf:{activity}"'
            f"{self._time(time)}}}"
        )

    def derived(
        self,
        new: str,
        old: str,
        activity: str | None = None,
        generation: str | None = None,
        usage: str | None = None,
    ) -> None:
        """Say that an entity was made from another one, by which activity and how."""
        by = f'"{activity}"' if activity is not None else "null"
        how = f'"{usage}"' if usage is not None else "null"
        local = named_id("der", f'"{new}","{old}",{by},{how}')
        if local in self._relations:
            return
        self._relations.add(local)
        how = f',"prov:activity":"gpwf:{activity}"' if activity else ""
        how += f',"prov:generation":"gpwf:{generation}"' if generation else ""
        how += f',"prov:usage":"gpwf:{usage}"' if usage else ""
        self._derived.append(
            f'"gpwf:{local}":{{"prov:generatedEntity":"gpwf:{new}",'
            f'"prov:usedEntity":"gpwf:{old}"{how}}}'
        )
        if len(self._derived) >= MOST_LINES:
            self._sections["wasDerivedFrom"].spill()

    def started(self, activity: str, starter: str, time: datetime | None) -> None:
        """Say that an activity was started by another one; the time is the start of the first."""
        self._check(activity)
        local = f"sta-{activity}"
        self._started.append(
            f'"gpwf:{local}":{{"prov:activity":"gpwf:{activity}",'
            f'"prov:starter":"gpwf:{starter}"{self._time(time)}}}'
        )

    def informed(self, informed: str, informant: str) -> None:
        """Say that an activity used something that another one made."""
        self._check(informed)
        local = named_id("inf", f'"{informed}","{informant}"')
        self.lines["wasInformedBy"].append(
            f'"gpwf:{local}":{{"prov:informed":"gpwf:{informed}",'
            f'"prov:informant":"gpwf:{informant}"}}'
        )

    def associated(self, activity: str, agent: str, plan: str) -> None:
        """Say that an agent was responsible for an activity and followed a plan."""
        self._check(activity)
        local = named_id("ass", f'"{activity}","{agent}","{plan}"')
        self._associated.append(
            f'"gpwf:{local}":{{"prov:activity":"gpwf:{activity}","prov:agent":"gpwf:{agent}",'
            f'"prov:plan":"gpwf:{plan}"}}'
        )

    def on_behalf(self, delegate: str, responsible: str, activity: str) -> None:
        """Say that an agent acted for another one in an activity."""
        local = named_id("del", f'"{delegate}","{responsible}","{activity}"')
        self.lines["actedOnBehalfOf"].append(
            f'"gpwf:{local}":{{"prov:delegate":"gpwf:{delegate}",'
            f'"prov:responsible":"gpwf:{responsible}","prov:activity":"gpwf:{activity}"}}'
        )

    def specialises(self, specific: str, general: str) -> None:
        """Say that an entity is an aspect of a more general one."""
        self._n_unnamed += 1
        self._special.append(
            f'"_:id{self._n_unnamed}":{{"prov:specificEntity":"gpwf:{specific}",'
            f'"prov:generalEntity":"gpwf:{general}"}}'
        )

    def member(self, collection: str, entity: str) -> None:
        """Say that an entity belongs to a collection."""
        self._n_unnamed += 1
        self._members.append(
            f'"_:id{self._n_unnamed}":{{"prov:collection":"gpwf:{collection}",'
            f'"prov:entity":"gpwf:{entity}"}}'
        )
        if len(self._members) >= MOST_LINES:
            self._sections["hadMember"].spill()
