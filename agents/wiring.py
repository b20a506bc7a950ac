"""Builds an agents worker from plain arguments. Called by the composition root of the agents role."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.answers import Answers
from agents.connectors.directory import ConnectorDirectory
from agents.connectors.python_agent import CHILDREN
from agents.connectors.wiring import connectors
from agents.evolving.live.wiring import LivePlanning, PlanningOptions
from agents.journey.controls import Controls
from agents.journey.dead import DeadLetters
from agents.journey.dispatch import Dispatcher, DispatchLimits
from agents.journey.handbacks import Handbacks
from agents.journey.lanes import Lane, LaneLimits
from agents.journey.records import TaskRecords
from agents.journey.settlement import Settlement
from agents.journey.telling import Teller
from agents.journey.travel import Traveller
from agents.matching.live.feed import PolicyFeed
from agents.matching.live.turns import ROOM_BYTES
from agents.matching.matcher import SkillMatcher
from agents.matching.ranking import CosineRanker
from agents.matching.rule_book import RuleBook, RuledPlanner
from agents.outcome_feed import OutcomeFeed
from agents.planning.patience import PatientPlanner
from agents.ports.skill_index import SkillIndex
from agents.registry.fleet import LiveFleet
from agents.registry.kv_registry import KvRegistry
from agents.registry.skill_index.edge import EdgeSkillIndex
from agents.running.runner import jetstream_runner
from agents.services import BusServices
from agents.stopping import HeedfulPlanner, Stopping
from agents.worker import Service, Worker
from schemas import subjects
from schemas.percept import EncoderVersion
from schemas.task import Priority
from tensor_layer.ports import Blobs, Perceiver


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The plain numbers of a worker."""

    lanes: LaneLimits = field(default_factory=LaneLimits)
    dispatch: DispatchLimits = field(default_factory=DispatchLimits)
    match_threshold: float = 0.25
    planning: PlanningOptions = field(default_factory=PlanningOptions)
    record_experience: bool = True
    keep_submissions: bool = True
    drain_s: float = 15.0
    gateway_url: str | None = None
    python_folders: tuple[Path, ...] = ()
    python_packages: tuple[str, ...] = ()
    python_children: int = CHILDREN
    policies_bytes: int = ROOM_BYTES


async def open_index(url: str | None, api_key: str | None, folder: Path, encoder: EncoderVersion) -> SkillIndex:
    """The agent index: a Qdrant server when there is a URL, else Qdrant inside this process.

    Either keeps vectors from one start to the next, and uses those of this ``encoder`` only.
    """
    name = f"{encoder.name}-{encoder.version}"
    if url is not None:
        # Imported here: qdrant-client takes 0.5 s to import, and only deployments with a Qdrant server need it.
        from agents.registry.skill_index.client import ClientSkillIndex

        return await ClientSkillIndex.connect(url, api_key=api_key, dimension=encoder.dimension, encoder=name)
    return await EdgeSkillIndex.open(folder, encoder.dimension, encoder=name)


async def build_worker(
    nc: Client,
    js: JetStreamContext,
    *,
    nats_url: str,
    nats_credentials: str | None = None,
    perceiver: Perceiver,
    blobs: Blobs,
    index: SkillIndex,
    options: WorkerOptions,
) -> Worker:
    """Everything between the work queue and a result, wired. ``nc`` must be one that does not hear itself."""
    worker_id = new_worker_id()
    directory = connectors(
        nc,
        blobs,
        python_folders=options.python_folders,
        python_packages=options.python_packages,
        gateway_url=options.gateway_url,
        python_children=options.python_children,
    )
    fleet = LiveFleet(KvRegistry(js), index, perceiver.encode_texts, js, directory.probe)
    policies = PolicyFeed(
        js,
        blobs,
        fleet.cards,
        perceiver.encode_texts,
        perceiver.text_version.version,
        room_bytes=options.policies_bytes,
    )
    matcher = SkillMatcher(index, fleet, CosineRanker(), options.match_threshold, policies)
    planning = LivePlanning(nc, js, matcher, fleet, perceiver.encode_texts, options.planning, policies.state)
    rules = RuleBook(js)
    planner = PatientPlanner(RuledPlanner(planning.planner, rules), fleet)
    outcomes = OutcomeFeed(nc, (policies.learn, planning.learn))
    records = TaskRecords(await js.key_value(subjects.BUCKET_TASKS))
    teller, controls, stopping = Teller(nc, worker_id), Controls(nc, records), Stopping()
    traveller = Traveller(
        perceiver=perceiver,
        planner=HeedfulPlanner(planner, stopping),
        runner=jetstream_runner(nc, directory, stopping=stopping),
        fleet=fleet,
        records=records,
        settlement=Settlement(
            js,
            records,
            teller,
            blobs,
            record_experience=options.record_experience,
            keep_submissions=options.keep_submissions,
            wrote=outcomes.wrote,
        ),
        teller=teller,
        controls=controls,
        worker_id=worker_id,
    )
    dispatcher = Dispatcher(
        traveller, controls, DeadLetters(js), teller, options.dispatch, stopping, Handbacks(records)
    )
    lanes = [Lane(nc, js, priority, options.lanes, dispatcher.dispatch) for priority in Priority]
    services: Sequence[Service] = (
        _Closing(directory, index),  # stopped last: the fleet probes agents and fills the index until it stops
        _Known(fleet),
        rules,
        policies,
        planning,
        outcomes,
        BusServices(nats_url, Answers(perceiver, planner, matcher, fleet, policies.problem), nats_credentials),
    )
    return Worker(lanes, controls, services, stopping, options.drain_s)


def new_worker_id() -> str:
    """Says where a worker runs, and tells it from every other: host, process id, and a little chance."""
    host = "".join(c if c.isalnum() or c in "-_" else "-" for c in socket.gethostname())[:32]
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"


class _Known:
    """The fleet as a service that has started once every agent of that moment is known."""

    def __init__(self, fleet: LiveFleet) -> None:
        self._fleet = fleet

    async def start(self) -> None:
        """Follow the registry; returns with the first full view."""
        await self._fleet.start()
        await self._fleet.ready.wait()

    async def stop(self) -> None:
        """Stop following."""
        await self._fleet.stop()


class _Closing:
    """What has nothing to start but something to close at the end."""

    def __init__(self, directory: ConnectorDirectory, index: SkillIndex) -> None:
        self._directory = directory
        self._index = index

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Stop child processes and connections, release the index."""
        await self._directory.close()
        await self._index.close()
