"""The one map of the bus: subject -> model -> producer -> consumers. Nothing else spells a subject, except that stored
checkpoints, which only ``agents.running`` reads, have theirs in ``checkpoint_subjects``.

``docs/message-map.md`` is generated from ``BUS`` by ``aos schema export``.
"""

from dataclasses import dataclass

from pydantic import BaseModel

from schemas.audition import Audition
from schemas.base import is_token
from schemas.card import AgentCard, Heartbeat
from schemas.control import ControlMessage
from schemas.experience import ExperienceRecord, Feedback
from schemas.explain import ExplainRequest, SearchRequest
from schemas.invocation import Invocation
from schemas.parts import Modality
from schemas.pattern import SynthesizedPattern
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState, PriorComparison
from schemas.refinement import PlanningPast, PlanTemplate, RefineRequest
from schemas.routing_rule import RoutingRules
from schemas.task import DeadTask, Priority, TaskEvent, TaskRecord, TaskSubmitted
from schemas.tensor import EncodeRequest

STREAM_TASKS = "AOS_TASKS"
STREAM_EVENTS = "AOS_EVENTS"
STREAM_CONTROL = "AOS_CONTROL"
STREAM_EXPERIENCE = "AOS_EXPERIENCE"
STREAM_DEAD = "AOS_DEAD"
STREAM_AUDIT = "AOS_AUDIT"
STREAM_CHECKPOINTS = "AOS_CHECKPOINTS"

BUCKET_AGENTS = "aos_agents"
BUCKET_HEALTH = "aos_health"
BUCKET_TASKS = "aos_tasks"
BUCKET_POLICY = "aos_policy"
BUCKET_PLANS = "aos_plans"
BUCKET_PATTERNS = "aos_patterns"
BUCKET_AUDITIONS = "aos_auditions"

POLICY_STATE, PRIOR_COMPARISON, ROUTING_RULES = "state", "prior", "rules"
PLANNING_PAST = "past"

QUEUE_AGENTS = "agents"
QUEUE_WORKERS = "workers"
QUEUE_PERCEPTION = "perception"
QUEUE_REFINERS = "refiners"

TASK_MESSAGE_BYTES = 640 * 1024
"""The largest message that is a task; larger ones are rejected with the reason. Large content goes by reference."""

HEADER_MESSAGE_ID = "Nats-Msg-Id"
HEADER_CONTENT_TYPE = "Content-Type"
HEADER_SERVICE_ERROR = "Nats-Service-Error"
HEADER_SERVICE_ERROR_CODE = "Nats-Service-Error-Code"
"""A service that cannot answer says so in these two (NATS ADR-32); its body is a `schemas.problem.Problem`."""
CONTENT_JSON = "application/json"
CONTENT_PROTOBUF = "application/x-protobuf"

SUBMIT_ALL = "aos.*.task.submit.*"
EVENT_ALL = "aos.*.task.event.*"
CONTROL_ALL = "aos.*.task.control.*"
EXPERIENCE_ALL = "aos.*.experience"
FEEDBACK_ALL = "aos.*.feedback"
DEAD_ALL = "aos.*.dead"
HEARTBEAT_ALL = "aos.*.agent.*.heartbeat"
AUDIT = "aos.audit"
EXPLAIN = "aos.service.explain"
SEARCH = "aos.service.search"
REFINE = "aos.service.refine"


def token(value: str) -> str:
    """The value, which may stand in a subject or key as it is. Raises ValueError for any other."""
    if not is_token(value):
        raise ValueError(f"{value!r} cannot stand in a bus subject: use 1-64 letters, digits, '_' and '-'")
    return value


def submit(tenant: str, priority: Priority) -> str:
    """Where a task of that tenant and priority is published."""
    return f"aos.{token(tenant)}.task.submit.{priority.value}"


def submit_lane(priority: Priority) -> str:
    """Every tenant's tasks of one priority: the filter of one durable consumer."""
    return f"aos.*.task.submit.{priority.value}"


def event(tenant: str, task_id: str) -> str:
    """Where the moments of that task's life are published."""
    return f"aos.{token(tenant)}.task.event.{token(task_id)}"


def control(tenant: str, task_id: str) -> str:
    """Where a task under way is spoken to."""
    return f"aos.{token(tenant)}.task.control.{token(task_id)}"


def invoke(tenant: str, agent_id: str) -> str:
    """Where an agent is asked to do a step."""
    return f"aos.{token(tenant)}.agent.{token(agent_id)}.invoke"


def heartbeat(tenant: str, agent_id: str) -> str:
    """Where an agent says that it is alive."""
    return f"aos.{token(tenant)}.agent.{token(agent_id)}.heartbeat"


def experience(tenant: str) -> str:
    """Where finished tasks leave their record."""
    return f"aos.{token(tenant)}.experience"


def feedback(tenant: str) -> str:
    """Where people and programs say what they think of a result."""
    return f"aos.{token(tenant)}.feedback"


def dead(tenant: str) -> str:
    """Where work that was given up ends, with its reason."""
    return f"aos.{token(tenant)}.dead"


def encode(modality: Modality) -> str:
    """Where vectors are asked for."""
    return f"aos.tensor.encode.{modality.value}"


def tenant_of(subject: str) -> str:
    """The tenant token of a subject of this map."""
    return subject.split(".", 2)[1]


def record_key(tenant: str, item_id: str) -> str:
    """The key of a tenant's item in any of the buckets."""
    return f"{token(tenant)}.{token(item_id)}"


def policy_state_key(tenant: str) -> str:
    """The key of a tenant's policy state in the bucket of policies."""
    return f"{token(tenant)}.{POLICY_STATE}"


def prior_comparison_key(tenant: str) -> str:
    """The key under which the policy in force was last compared with the prior, in the bucket of policies."""
    return f"{token(tenant)}.{PRIOR_COMPARISON}"


def routing_rules_key(tenant: str) -> str:
    """The key of a tenant's routing rules in the bucket of policies."""
    return f"{token(tenant)}.{ROUTING_RULES}"


def policy_version_key(tenant: str, policy: str) -> str:
    """The key of one version of a policy, which is never written again."""
    return f"{token(tenant)}.v-{token(policy)}"


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the map."""

    subject: str
    model: type[BaseModel]
    kind: str
    producer: str
    consumers: str


BUS: tuple[Route, ...] = (
    Route(
        "aos.<t>.task.submit.<priority>",
        TaskSubmitted,
        f"JetStream work queue {STREAM_TASKS}",
        "doors, any NATS client",
        "agents workers",
    ),
    Route(
        "aos.<t>.task.event.<task>", TaskEvent, f"JetStream {STREAM_EVENTS}, 7 days", "agents workers", "doors, replay"
    ),
    Route(
        "aos.<t>.task.control.<task>", ControlMessage, f"JetStream {STREAM_CONTROL}, 1 day", "doors", "agents workers"
    ),
    Route(
        "aos.<t>.agent.<agent>.invoke",
        Invocation,
        f"request/reply, queue group {QUEUE_AGENTS}",
        "agents workers",
        "agents",
    ),
    Route(
        "aos.<t>.agent.<agent>.heartbeat",
        Heartbeat,
        f"stored by the bus in KV {BUCKET_HEALTH}",
        "agents",
        "none: see KV",
    ),
    Route(
        "aos.<t>.experience",
        ExperienceRecord,
        f"JetStream {STREAM_EXPERIENCE}",
        "agents workers",
        "evolution, agents workers",
    ),
    Route("aos.<t>.feedback", Feedback, f"JetStream {STREAM_EXPERIENCE}", "doors", "evolution"),
    Route(
        "aos.tensor.encode.<modality>",
        EncodeRequest,
        f"request/reply, queue group {QUEUE_PERCEPTION}",
        "any",
        "perception",
    ),
    Route(EXPLAIN, ExplainRequest, f"request/reply, queue group {QUEUE_WORKERS}", "doors", "agents workers"),
    Route(SEARCH, SearchRequest, f"request/reply, queue group {QUEUE_WORKERS}", "doors", "agents workers"),
    Route(REFINE, RefineRequest, f"request/reply, queue group {QUEUE_REFINERS}", "agents workers", "evolution"),
    Route("aos.<t>.dead", DeadTask, f"JetStream {STREAM_DEAD}, 90 days", "anything that gave up", "aos dead"),
    Route(
        f"KV {BUCKET_AGENTS}: <t>.<agent>",
        AgentCard,
        "JetStream KV, history 64",
        "doors, card folder",
        "agents workers, doors",
    ),
    Route(
        f"KV {BUCKET_HEALTH}: <t>.<agent>",
        Heartbeat,
        "JetStream KV with TTL",
        "the bus, of heartbeats; agents workers, of probes",
        "agents workers, doors",
    ),
    Route(
        f"KV {BUCKET_TASKS}: <t>.<task>",
        TaskRecord,
        "JetStream KV, 7 days",
        "doors, agents workers",
        "doors, agents workers",
    ),
    Route(f"KV {BUCKET_PLANS}: <t>.<kind>", PlanTemplate, "JetStream KV", "agents workers", "agents workers"),
    Route(f"KV {BUCKET_PLANS}: <t>.past", PlanningPast, "JetStream KV", "agents workers", "agents workers"),
    Route(f"KV {BUCKET_POLICY}: <t>.state", PolicyState, "JetStream KV", "evolution, aos policy", "agents workers"),
    Route(f"KV {BUCKET_POLICY}: <t>.v-<policy>", PolicySnapshot, "JetStream KV", "evolution", "agents workers"),
    Route(f"KV {BUCKET_POLICY}: <t>.prior", PriorComparison, "JetStream KV", "evolution", "aos policy"),
    Route(
        f"KV {BUCKET_POLICY}: <t>.rules",
        RoutingRules,
        "JetStream KV",
        "aos mine, aos rules, evolution",
        "agents workers",
    ),
    Route(
        f"KV {BUCKET_PATTERNS}: <t>.<pattern>", SynthesizedPattern, "JetStream KV", "evolution, aos mine", "aos mine"
    ),
    Route(
        f"KV {BUCKET_AUDITIONS}: <t>.<agent>", Audition, "JetStream KV, 90 days", "evolution", "evolution, aos agents"
    ),
)
