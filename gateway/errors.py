"""Everything that can go wrong at a door.

GatewayError
├── ServerDidNotStart     an embedded server cannot be started
├── CopiesImpossible      the bus has too few servers for the copies that are asked of it
├── SettingsInvalid       aos.toml or an AOS_* variable is wrong
├── RequestInvalid        400: the door cannot even read the request
├── TooLarge              413: a body, an attachment or a message passes its limit
├── MediaTypeUnsupported  415
├── SchemaInvalid         422: the body is JSON, but not what the door expects
├── TaskRefused           422: admission says no, for instance to a missing attachment
│   └── IdempotencyConflict   the same key came with another body
├── TaskNotFound          404
├── NotFound              404: any other thing that is not there
├── StateConflict         409: the task is not in a state in which that can be done
├── Overloaded            503: the door itself is at its limit
├── StoreFull             503: the bus or the object store has no room; recovers by itself
├── NoWorker              503: nobody answers searches and dry runs
└── WorkerRefused         a worker says why it cannot answer; its status is the answer's

A silent bus is ``agents.errors.BusUnavailable`` (503), the same error as in the workers.
"""

from schemas.problem import FieldProblem, Problem


class GatewayError(Exception):
    """Base of all errors of this package. ``code`` and ``status`` go into problem JSON, as do the keywords.

    ``code`` may be narrowed for one case; ``next_step`` says what to do about it; ``retry_after_s`` becomes the
    header Retry-After.
    """

    code = "gateway_error"
    status = 500
    next_step = ""
    retry_after_s: int | None = None

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        next_step: str | None = None,
        fields: tuple[FieldProblem, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.next_step = self.next_step if next_step is None else next_step
        self.fields = fields


class ServerDidNotStart(GatewayError):
    """An embedded server cannot be started; the message carries the end of its log."""

    code = "server_did_not_start"


class CopiesImpossible(GatewayError):
    """The bus has fewer servers than each stream shall have copies."""

    code = "copies_impossible"
    next_step = "set bus.replicas (AOS_BUS__REPLICAS) to 1 on a single server, to 3 on a cluster of three or more"


class DemoNotThere(GatewayError):
    """The demo's tasks and inputs cannot be read."""

    code = "demo_not_there"


class SettingsInvalid(GatewayError):
    """A setting is wrong: which one, where it was read, what was expected."""

    code = "settings_invalid"


class RequestInvalid(GatewayError):
    """The request cannot be read: broken JSON, a torn multipart body, a header that makes no sense."""

    code = "request_invalid"
    status = 400


class TooLarge(GatewayError):
    """Something passes its limit; nothing of it was kept."""

    code = "body_too_large"
    status = 413


class MediaTypeUnsupported(GatewayError):
    """The body's content type is none that the door reads."""

    code = "media_type_unsupported"
    status = 415


class SchemaInvalid(GatewayError):
    """The body has the wrong shape; ``fields`` says where, what was expected, and gives an example."""

    code = "schema_invalid"
    status = 422


class TaskRefused(GatewayError):
    """Admission refuses the task."""

    code = "task_refused"
    status = 422


class IdempotencyConflict(TaskRefused):
    """The idempotency key belongs to a task with another body."""

    code = "idempotency_conflict"
    next_step = "use a new Idempotency-Key for a new task, or repeat the first request unchanged"


class TaskNotFound(GatewayError):
    """No task of that id for this tenant."""

    code = "task_not_found"
    status = 404
    next_step = (
        "GET /v1/tasks (aos task list) shows those there are; a task of another tenant needs X-AOS-Tenant (--tenant)"
    )


class NotFound(GatewayError):
    """Something else is not there: an output, a blob, a dead letter."""

    code = "not_found"
    status = 404


class StateConflict(GatewayError):
    """The task is not in a state in which that can be done."""

    code = "state_conflict"
    status = 409


class Overloaded(GatewayError):
    """The door has as much in flight as it can hold. Nothing of the request was kept."""

    code = "overloaded"
    status = 503
    next_step = "wait for the seconds in Retry-After and try again"
    retry_after_s = 1


class StoreFull(GatewayError):
    """The bus or the object store takes nothing more just now."""

    code = "store_full"
    status = 503
    next_step = "wait for workers to drain the queue and try again; the quota is set in aos.toml"
    retry_after_s = 5


class NoWorker(GatewayError):
    """No worker answers."""

    code = "no_worker"
    status = 503
    next_step = "start one: aos serve --role agents (or aos up for everything)"
    retry_after_s = 5


class WorkerRefused(GatewayError):
    """A worker's own words for why it cannot answer a question: its status, code and next step are passed on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, code=problem.code, next_step=problem.next_step, fields=problem.fields)
        self.status = problem.status
        self.retry_after_s = 1 if problem.status == 503 else None
