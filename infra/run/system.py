"""The whole road as processes on one machine: servers where embedded, topics, tables, agents, collectors.

The collectors and every agent are processes of their own under a supervisor; this object starts them in order, watches
them and stops them in reverse order. It does no work itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from kafka.errors import KafkaError

from agents.rules.bundle import RuleSources, pack_rules
from agents.settings import AGENTS
from agents.sinks.clickhouse import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.config import Config
from infra.embedded import EmbeddedServers, read_endpoints
from infra.permits.keeping import recorded
from infra.permits.telling import tell
from infra.privacy.versions import purge_context
from infra.run import keyfile
from infra.run.absences import Absences
from infra.run.again import Again
from infra.run.announcing import announce, periods, shown
from infra.run.contextfiles import ContextFiles
from infra.run.drain import Drain, agent_partitions, statuses
from infra.run.health import OFF, Health
from infra.run.paths import DataPaths
from infra.run.retaining import Daily
from infra.run.roll import Roll
from infra.run.supervisor import Spec, Supervisor
from infra.run.topics import Wanted, create, keep_for, wanted
from schemas.errors import AupstreamError, ServerError
from schemas.headers import NEVER

ROOT = Path(__file__).parents[2]
COLLECT = "collect"
LISTEN = "listen"
_JUDGES = ("detect", "correlate", "notify")  # agents that ask inventory, roster and permits


def cache_folder() -> Path:
    """Where downloads are kept: `AUPSTREAM_CACHE`, else `.cache` beside the code."""
    return Path(os.environ.get("AUPSTREAM_CACHE") or ROOT / ".cache")


class System:
    """Servers, agents and collectors of one configuration.

    Args:
        config: What to run.
        config_file: Its file, for the collectors' process; None: defaults.
        say: Told what is being done, one sentence a time.
    """

    def __init__(self, config: Config, config_file: Path | None, say: Callable[[str], None]) -> None:
        self._config, self._file, self._say = config, config_file, say
        self.paths = DataPaths(config.data.absolute())
        self._servers: EmbeddedServers | None = None
        self._processes: Supervisor | None = None
        self._drain: Drain | None = None
        self._retention: Daily | None = None
        self._again: Again | None = None
        self._absences: Absences | None = None
        self._roll = Roll(self.paths.roll)
        self._context = ContextFiles(config.district, self.paths.context)
        self.kafka = config.kafka.address
        self.clickhouse = config.clickhouse.dsn

    @property
    def processes(self) -> Supervisor:
        """Agents and collectors; only after `start`."""
        if self._processes is None:
            raise ServerError("nothing is started yet")
        return self._processes

    @property
    def servers(self) -> EmbeddedServers | None:
        """The embedded servers, where this object started them."""
        return self._servers

    @property
    def leads(self) -> bool:
        """True on the machine that does what is done once for all: rules, permits, absences, retention, rejudging."""
        return not self._config.agents.machine

    @property
    def retention(self) -> Daily:
        """Deletes what is too old once a day; only after `start`."""
        if self._retention is None:
            retention = self._config.privacy.retention
            self._retention = Daily(self.clickhouse, retention, more=partial(purge_context, self._config))
        return self._retention

    @property
    def again(self) -> Again:
        """Judges again what late leases and new permits ask for; only after `start`."""
        if self._again is None:
            log = self.paths.logs / "rejudge.log"
            self._again = Again(self._file, self._config.data, log, self._config.agents.rejudge_s)
        return self._again

    @property
    def absences(self) -> Absences:
        """Declares sources absent that nobody hears of; only after `start`."""
        if self._absences is None:
            self._absences = Absences(self.kafka, self._config.agents.source_absent_after_s)
            self._absences.start()
        return self._absences

    def start(self, *, agents: Iterable[str] = AGENTS, collectors: bool = True) -> None:
        """Start everything, in order; blocks until the servers are ready and the processes are started.

        Raises:
            AupstreamError: something is wrong or missing; nothing is left running then.
        """
        try:
            self.paths.make()
            keyfile.look(self._config)
            self.start_servers()
            self._processes = Supervisor(self.paths.logs)
            if collectors and self._config.listeners:
                self.start_listeners()
            if self.leads:
                self._announce_rules(collectors=collectors)
                self._tell_permits()
            for agent in agents:
                self._start_agent(agent)
            if collectors and self._config.sources:
                self.start_collectors()
        except BaseException:
            self.stop()
            raise

    def start_servers(self) -> None:
        """Servers where embedded and not running yet, topics, tables."""
        if not (self.kafka and self.clickhouse):
            self._embedded()
        topics = self._wanted_topics()
        made = create(self.kafka, topics, self._config.kafka.replication)
        if made:
            self._say(f"made {len(made)} topics")
        # What nobody said does not overrule what an administrator of Kafka may have set.
        if self._config.privacy.retention.model_fields_set:
            for sentence in keep_for(self.kafka, topics):
                self._say(sentence)
        store = ClickHouse(self.clickhouse, threading.Event())
        for name in migrate(store):
            self._say(f"ClickHouse: {name}")
        keyfile.settle(self._config, store.execute, self._say)
        store.close()
        self._write_settings()

    def _embedded(self) -> None:
        running = read_endpoints(self.paths.servers)
        if running is None:
            heap = self._config.kafka.heap_mb
            self._servers = EmbeddedServers(self.paths.servers, cache=cache_folder(), say=self._say, kafka_heap_mb=heap)
            running = self._servers.start()
        self.kafka = self.kafka or running.kafka
        self.clickhouse = self.clickhouse or running.clickhouse

    def _wanted_topics(self) -> dict[str, Wanted]:
        kafka = self._config.kafka
        return wanted(kafka.event_partitions, kafka.detection_partitions, self._config.privacy.retention)

    def _write_settings(self) -> None:
        settings = self._config.agent_settings(self.kafka, self.clickhouse, self.paths.status)
        settings = settings.model_copy(update={"district": self._context.keep()})
        path = self.paths.settings
        temporary = path.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.chmod(0o600)
        temporary.write_text(settings.model_dump_json())
        temporary.replace(path)

    def _announce_rules(self, *, collectors: bool) -> None:
        """Announce the configuration's rules where they are others than those in force.

        Before anything runs; but where collectors may run elsewhere, so may agents, and it is not for one machine to
        say what rules all of them go by: there `aupstream rules apply` does it.
        """
        known = periods(self.kafka)
        if known and not collectors:
            if pack_rules(self.rule_sources).version != known[-1].version:
                self._say(
                    "the rules in force are not those of this configuration; `aupstream rules apply` announces these"
                )
            return
        done = announce(self.kafka, self.rule_sources, running=False)
        if done.changed and done.period.start > NEVER:
            self._say(f"{done.rules} rules ({done.period.version}) are in force from {shown(done.period.start)} on")

    def _tell_permits(self) -> None:
        """Tell the workers of permits that were entered while nothing ran."""
        number = tell(self.kafka, recorded(self._config.permit_log)())
        if number:
            self._say(f"told the agents of {number} records of permits")

    def apply_rules(self) -> str:
        """Announce the configuration's rules, while everything runs; what was done, as a sentence.

        Raises:
            Errors: everything that is wrong with them: nothing is changed then.
        """
        done = announce(self.kafka, self.rule_sources)
        when = f"in force from {shown(done.period.start)} on" if done.changed else "those announced last: nothing to do"
        return f"{done.rules} rules ({done.period.version}) are {when}"

    def follow_context(self) -> Iterator[str]:
        """Have inventory, roster, lists and permits judged by as they are now; what happened, as sentences.

        Workers are started again for it, which loses and repeats nothing. Files that are wrong change nothing.
        """
        if not self._context.changed():
            return
        before = self._context.version
        try:
            self._write_settings()
        except AupstreamError as error:
            yield from (f"not taken: {sentence}" for sentence in str(error).splitlines())
            return
        if self._context.version == before:
            return
        yield "inventory, roster, lists or permits have changed: judging goes on by them"
        for name in [n for n in self.processes.starts if n.rpartition("-")[0] in _JUDGES]:
            self.processes.remove(name)
            agent, _, number = name.rpartition("-")
            self.start_worker(agent, int(number))

    @property
    def rule_sources(self) -> RuleSources:
        """Where the configuration's rules are."""
        rules = self._config.rules
        return RuleSources(rules.paths, rules.beside, rules.shadow)

    def _start_agent(self, agent: str) -> None:
        for number in range(getattr(self._config.agents, agent)):
            self.start_worker(agent, number)

    def start_worker(self, agent: str, number: int) -> None:
        """Start one worker of an agent."""
        name = f"{agent}-{number}"
        argv = [sys.executable, "-m", "agents.worker", agent, str(number), str(self.paths.settings)]
        argv.append(str(self.paths.faust / name))
        self.processes.start(Spec(name, argv, {"POLARS_MAX_THREADS": "1"}, ROOT, status=self.paths.status_of(name)))

    def start_collectors(self) -> None:
        """Start the process that reads all sources."""
        argv = [sys.executable, "-m", "infra.run.collect", "" if self._file is None else str(self._file.absolute())]
        env = {
            "AUPSTREAM_KAFKA__BOOTSTRAP": self.kafka,
            "AUPSTREAM_DATA": str(self.paths.folder),
            "AUPSTREAM_HEALTH__LISTEN": OFF,  # it is this process that answers
            **self._config.logs.environment(),
            "POLARS_MAX_THREADS": "1",
        }
        ends = all(s.mode == "once" for s in self._config.collectors())
        final = frozenset({0, 2, 4} if ends else {2, 4})
        self.processes.start(Spec(COLLECT, argv, env, ROOT, final, self.paths.status_of(COLLECT)))

    def start_listeners(self) -> None:
        """Start the process that takes lines from the network; before the rest, since what is not heard is lost."""
        argv = [sys.executable, "-m", "infra.run.listen", "" if self._file is None else str(self._file.absolute())]
        env = {"AUPSTREAM_DATA": str(self.paths.folder), "AUPSTREAM_HEALTH__LISTEN": OFF}
        env |= self._config.logs.environment()
        self.processes.start(Spec(LISTEN, argv, env, ROOT, frozenset({2}), self.paths.status_of(LISTEN)))

    def poll(self) -> list[str]:
        """Start again what ended; what happened, as sentences. Call about once a second."""
        happened = [] if self._servers is None else self._servers.poll()
        happened += self.processes.poll()
        self._roll.tell(self._expected())
        return happened

    def once_for_all(self) -> Iterator[str]:
        """Look after what one machine does for all; what happened, as sentences. Call it as often as `poll`."""
        if self.leads:
            yield from self.retention.poll()
            yield from self.again.poll()
            yield from self.absences.poll()

    def ready(self) -> bool:
        """True where every worker runs and has its partitions."""
        return not self.not_ready()

    def not_ready(self) -> list[str]:
        """Workers that do not run, or have not told of themselves lately."""
        pids = self.processes.pids
        running = {s["worker"] for s in statuses(self.paths.status) if s["pid"] in pids.values()}
        return sorted(self._expected() - running)

    def _expected(self) -> set[str]:
        """Names of what has not come to its end."""
        return {name for name in self.processes.starts if self.processes.exit_code(name) != 0}

    def health(self) -> Health:
        """Answers over HTTP for as long as it is told that this process goes round; not started yet."""
        return Health(self._config.health.listen, self.paths.status, self.not_ready)

    def drained(self) -> bool:
        """True where all sources are read and everything has come out. Only for sources that are read once."""
        if COLLECT in self.processes.starts and self.processes.exit_code(COLLECT) is None:
            return False
        return self.drain().is_empty(self.processes.pids.values())

    def drain(self) -> Drain:
        """Compares what was applied with the ends of the topics."""
        if self._drain is None:
            partitions = agent_partitions(self._config.kafka.event_partitions, self._config.kafka.detection_partitions)
            self._drain = Drain(self.kafka, self.paths.status, partitions)
        return self._drain

    def wait_until_drained(self, each: Callable[[], None] | None = None, within_s: float = 3600.0) -> None:
        """Poll until all is through.

        Args:
            each: Called at every look, for a progress bar.
            within_s: Then it is given up.

        Raises:
            ServerError: it took longer, or a source could not be read.
        """
        deadline = time.monotonic() + within_s
        while True:
            for sentence in self.poll():
                self._say(sentence)
            if self.drained():
                break
            if time.monotonic() > deadline:
                raise ServerError(
                    f"not all is through after {within_s:.0f} s: {self._left()}",
                    hint=f"look into the logs in {self.paths.logs}",
                )
            if each is not None:
                each()
            time.sleep(0.3)
        code = self.processes.exit_code(COLLECT) if COLLECT in self.processes.starts else 0
        if code:
            log = self.processes.log_of(COLLECT)
            raise ServerError(f"a source could not be read (code {code})", where=str(log), hint="see the log")

    def _left(self) -> object:
        try:
            return self.drain().left(self.processes.pids.values())
        except KafkaError as error:
            return error

    def stop(self) -> None:
        """Stop collectors, agents and the servers that were started here, in this order. Idempotent."""
        if self._drain is not None:
            self._drain.close()
            self._drain = None
        if self._retention is not None:
            self._retention.stop()
        if self._again is not None:
            self._again.stop()
        if self._absences is not None:
            self._absences.stop()
        self._roll.close()
        if self._processes is not None:
            self._processes.stop()
        if self._servers is not None:
            self._servers.stop()
            self._servers = None
