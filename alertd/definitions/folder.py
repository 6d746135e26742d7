"""A configuration folder that is loaded again and again. What has not changed is not parsed again.

A timeline file is left alone if its content, the configuration, the version of alertd and the time zone
database are those with which it was read last, by this process or by the one whose fingerprints the ledger
has. It is read all the same if a check between files concerns it: if it counts from a file that has changed,
if such a file counts from it, or if both claim the same id.

The milestones of a timeline do not stay in memory. :meth:`DefinitionFolder.read` reads them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from alertd import __version__
from alertd.core.config import Config, Definitions, Problem, Timeline, UnreadMilestones
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.planning.trust import find_dependents, list_base_timelines
from alertd.definitions.config.read import NAME, ConfigRead, Inherited, read_config
from alertd.definitions.config.receivers import Options
from alertd.definitions.environment import make_environment
from alertd.definitions.files import (
    MISNAMED,
    ContentHashes,
    FolderContents,
    ReadContents,
    find,
    hash_content,
    read_file,
)
from alertd.definitions.limits import limit_problems
from alertd.definitions.reading.terms import forget_zones
from alertd.definitions.timeline.across import NEAR_OF, check_across, find_files_of, find_unknown_bases
from alertd.definitions.timeline.read import TimelineRead, read_timeline, read_timeline_with_places
from alertd.errors import TimelineUnread
from alertd.system.collector import pause_collector

MAX_LOADED = 2_000
"""How many milestones a load leaves in memory for the reconciliation after it. The files of the others are
parsed again then, so that a first load needs no more memory than a reload."""

BYTES_FOR_EACH = 1_000
"""How much text of files is kept until it is parsed, for each milestone that may stay in memory."""

MAX_ENVIRONMENTS = 8
"""How many configurations are remembered, so that files can be read as the one in force has it."""


@dataclass(slots=True)
class _Reading:
    """The files that one load has parsed, and those that it leaves alone.

    Attributes:
        hashes: the hash of each timeline file, sorted by file.
        known: the timelines of the files that need not be parsed.
        read: the results of parsing.
        changed: the ids of the timelines that may have changed.
        needed: the files whose milestones others count from.
        room: how many more milestones stay in memory, of files that count from nothing.
        contents: the contents of files that were read already.
    """

    contents: ReadContents
    hashes: dict[str, str]
    known: dict[str, Timeline]
    changed: set[str]
    room: int
    read: dict[str, TimelineRead] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)

    def list_by_file(self) -> dict[str, TimelineRead]:
        return {file: self.read[file] for file in self.hashes if file in self.read}


class DefinitionFolder:
    """A configuration folder, and what is known of its files.

    All methods but :meth:`know` are called by one thread.

    Args:
        options: the pydantic model for the options of each type of notifier.
        find_named: returns the path of a file that `alertd.yaml` names. By default, paths are relative to
            ``folder``.
        hash_zones: returns the fingerprint of the time zone database in use.
        version: the version of alertd.
        max_loaded: how many milestones a load leaves in memory for the reconciliation after it.

    Attributes:
        parsed: how many timeline files have been parsed.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        *,
        find_named: Callable[[str], Path] | None = None,
        hash_zones: Callable[[], str] = str,
        version: str = __version__,
        max_loaded: int = MAX_LOADED,
    ) -> None:
        self.parsed = 0
        self._folder = folder
        self._options = options
        self._find_named = find_named or folder.joinpath
        self._hash_zones = hash_zones
        self._version = version
        self._max_loaded = max_loaded
        self._hashes = ContentHashes()
        self._known: dict[str, Timeline] = {}
        self._loaded: dict[str, Timeline] = {}
        self._inherited: dict[str, Inherited] = {}

    def know(self, kept: Iterable[TimelineFingerprint]) -> None:
        """Trust the files with these fingerprints as if this process had read them."""
        for fingerprint in kept:
            self._known[fingerprint.file] = Timeline(
                id=fingerprint.timeline,
                title=fingerprint.title,
                file=fingerprint.file,
                milestones=UnreadMilestones(count=fingerprint.count, bases=frozenset(fingerprint.bases)),
                description=fingerprint.description,
                url=fingerprint.url,
                content=fingerprint.content,
                environment=fingerprint.environment,
            )

    def forget(self) -> None:
        """Forget everything that was read with the rules of an older time zone database."""
        self._known.clear()
        self._loaded.clear()
        self._inherited.clear()
        forget_zones()

    def load(self, kept: str = "") -> Definitions:
        """Read `alertd.yaml` and what has changed. Problems in the files are returned, not raised.

        A file with a problem is not used. If the configuration has a problem, no timeline is used and all
        files are in ``broken``, because the policies of the timelines are unknown.

        Args:
            kept: the content of `alertd.yaml` that the ledger keeps, which is used if the file has a problem.
        """
        hashes = {file: timeline.content for file, timeline in self._known.items()}
        contents = ReadContents(hashes, BYTES_FOR_EACH * self._max_loaded)
        found = find(self._folder, self._hashes, contents)
        raw = found.config
        config_read = read_config(raw, self._options, self._find_named)
        problems: list[Problem] = [*found.problems, *config_read.problems]
        from_ledger = False
        if kept and not found.is_absent and (config_read.config is None or not found.is_whole):
            raw = kept.encode()
            config_read = read_config(raw, self._options, self._find_named)
            from_ledger = config_read.config is not None
        config = config_read.config if found.is_whole or from_ledger else None
        environment = self._make_environment(config_read) if config is not None else ""
        self._loaded = {}
        with pause_collector():
            reading = self._read_changed(found.timelines, contents, environment, config_read.inherited)
            read = reading.list_by_file()
            across = check_across(read)
            if across:
                # The messages give lines and columns, which are unknown for a file that was read quickly.
                without = find_files_of(across, read)
                self._parse_files(reading, without, config_read.inherited, read_timeline_with_places)
                read = reading.list_by_file()
                across = check_across(read)
        for file, result in read.items():
            problems.extend(result.problems)
            problems.extend(across.get(file, ()))
        broken = {problem.file for problem in problems}
        timelines: tuple[Timeline, ...] = ()
        if config is None:
            broken.update((NAME, *reading.hashes))
        else:
            timelines = self._keep(reading, broken, environment)
        return Definitions(
            config=config,
            timelines=timelines,
            problems=tuple(limit_problems(problems)),
            broken=frozenset(broken),
            fingerprint=_hash_folder(found, raw, reading.hashes),
            unconfigured=config_read.unconfigured if config is not None else None,
            identified={
                NAME: "",
                MISNAMED: "",
                **{file: result.id for file, result in read.items() if file in broken and result.id},
            },
            is_absent=found.is_absent,
            from_ledger=from_ledger,
            kept_text=config_read.kept_text if config is not None else "",
        )

    def read_config(self) -> Config | None:
        """Read `alertd.yaml` alone. Returns None if it is missing, has no content or has a problem."""
        try:
            found = read_config(read_file(self._folder, NAME), self._options, self._find_named)
        except (OSError, RuntimeError):
            return None
        return found.config if found.unconfigured is None else None

    def read(self, timeline: Timeline) -> Timeline:
        """Return a timeline of the last load with its milestones. A second call parses the file again.

        Raises:
            TimelineUnread: the file is another one by now, or cannot be read.
        """
        loaded = self._loaded.pop(timeline.file, None)
        if loaded is not None and replace(timeline, milestones=()) == replace(loaded, milestones=()):
            return loaded
        inherited = self._inherited.get(timeline.environment)
        try:
            content = read_file(self._folder, timeline.file)
        except (OSError, RuntimeError) as error:
            raise TimelineUnread(f"{timeline.file}: {error}") from error
        if inherited is None or hash_content(content) != timeline.content:
            raise TimelineUnread(f"{timeline.file} has changed")
        with pause_collector():
            self.parsed += 1
            result = read_timeline(content, timeline.file, inherited)
        if result.timeline is None:
            raise TimelineUnread(f"{timeline.file} has changed")
        return replace(timeline, milestones=result.timeline.milestones)

    def _make_environment(self, config_read: ConfigRead) -> str:
        if config_read.config is None:
            return ""
        found = make_environment(
            config_read.config, config_read.inherited, version=self._version, zones=self._hash_zones()
        )
        self._inherited.pop(found, None)
        while len(self._inherited) >= MAX_ENVIRONMENTS:
            del self._inherited[next(iter(self._inherited))]
        self._inherited[found] = config_read.inherited
        return found

    def _read_changed(
        self, hashes: dict[str, str], contents: ReadContents, environment: str, inherited: Inherited
    ) -> _Reading:
        """Parse the files that have changed, and those that a check between files concerns."""
        known = {
            file: timeline
            for file, timeline in self._known.items()
            if hashes.get(file) == timeline.content and timeline.environment == environment
        }
        changed = {timeline.id for file, timeline in self._known.items() if file not in known}
        reading = _Reading(
            contents=contents, hashes=hashes, known=known, changed=changed, room=self._max_loaded
        )
        self._parse_files(reading, [file for file in hashes if file not in known], inherited)
        while missing := self._list_concerned(reading):
            self._parse_files(reading, missing, inherited)
        return reading

    def _parse_files(
        self,
        reading: _Reading,
        files: Collection[str],
        inherited: Inherited,
        parse: Callable[[bytes, str, Inherited], TimelineRead] = read_timeline,
    ) -> None:
        for file in files:
            content = reading.contents.take(file)
            try:
                if content is None:
                    content = read_file(self._folder, file)
            except (OSError, RuntimeError) as error:
                problem = Problem(file=file, line=1, column=1, message=f"cannot be read: {error}")
                reading.read[file] = TimelineRead(timeline=None, problems=(problem,))
                continue
            # The file may have been written since its hash was made.
            reading.hashes[file] = hash_content(content)
            self.parsed += 1
            result = parse(content, file, inherited)
            reading.read[file] = _drop_milestones(reading, file, result)
            before = reading.known.pop(file, None)
            if before is None or before.content != reading.hashes[file]:
                reading.changed |= {result.id} | ({before.id} if before is not None else set())

    def _list_concerned(self, reading: _Reading) -> list[str]:
        """List the files to parse because of those that have been parsed, or that are gone."""
        there = {timeline.id for timeline in reading.known.values()}
        there.update(result.id for result in reading.read.values())
        for timeline in reading.known.values():
            reading.changed |= list_base_timelines(timeline) - there
        dependents = find_dependents(reading.known.values(), reading.changed)
        bases = {
            after.claim.base.partition("/")[0] for result in reading.read.values() for after in result.after
        }
        concerned = {file for file, timeline in reading.known.items() if timeline.id in dependents | bases}
        dropped = {
            file
            for file, result in reading.read.items()
            if result.id in bases - {""} and file not in reading.needed and _is_outline(result)
        }
        reading.needed |= dropped
        concerned |= dropped
        reading.changed |= dependents
        if not concerned and next(find_unknown_bases(reading.read), None) is not None:
            # The ids of the first files may be suggested in place of an unknown id.
            seen = 0
            for file in reading.hashes:
                if seen >= NEAR_OF:
                    break
                if file in reading.known:
                    concerned.add(file)
                    seen += reading.known[file].count
                else:
                    seen += len(reading.read[file].ids)
        return [file for file in reading.hashes if file in concerned]

    def _keep(self, reading: _Reading, broken: Collection[str], environment: str) -> tuple[Timeline, ...]:
        """Remember the files without a problem. Returns their timelines, without the milestones."""
        timelines: dict[str, Timeline] = {}
        for file, content in reading.hashes.items():
            known, result = reading.known.get(file), reading.read.get(file)
            if known is not None:
                timelines[file] = known
            elif file not in broken and result is not None and result.timeline is not None:
                loaded = replace(result.timeline, content=content, environment=environment)
                timelines[file] = loaded.forget_milestones()
                if not isinstance(loaded.milestones, UnreadMilestones):
                    self._loaded[file] = loaded
        self._known = timelines
        return tuple(timelines.values())


def _drop_milestones(reading: _Reading, file: str, result: TimelineRead) -> TimelineRead:
    """Leave out the milestones of a file, unless there is room or a check between files needs them."""
    if result.timeline is None or result.after or file in reading.needed:
        return result
    reading.room -= result.timeline.count
    return result if reading.room >= 0 else replace(result, timeline=result.timeline.forget_milestones())


def _is_outline(result: TimelineRead) -> bool:
    return result.timeline is not None and isinstance(result.timeline.milestones, UnreadMilestones)


def _hash_folder(found: FolderContents, raw: bytes | None, hashes: Mapping[str, str]) -> str:
    """Return the fingerprint of all files."""
    whole = hashlib.sha256()
    parts = {NAME: hash_content(raw)} if found.config is not None and raw is not None else {}
    for file, content in (parts | dict(hashes)).items():
        whole.update(f"{len(file.encode())}:{file}:".encode() + bytes.fromhex(content))
    return whole.hexdigest()
