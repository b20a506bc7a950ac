"""Each tenant's past as planning knows it, told by the experience that passes on the bus. Read by ``planner``."""

from collections import OrderedDict
from dataclasses import dataclass, field

from agents.planning.past import StepPast
from agents.planning.promise import Calibration
from schemas.experience import ExperienceRecord
from schemas.invocation import INPUT_REQUIRED
from schemas.refinement import PlanningPast
from schemas.task import APPROVAL_DENIED, TaskState

TENANTS_MAX = 256


def tells_of_its_plan(record: ExperienceRecord) -> bool:
    """Whether it shows how good its plan was: not where it lacked something or people ended it."""
    return record.failure_code not in (INPUT_REQUIRED, APPROVAL_DENIED) and record.state is not TaskState.CANCELLED


@dataclass(slots=True)
class TenantPast:
    """What became of a tenant's steps, and of the forecasts that were made for it."""

    steps: StepPast = field(default_factory=StepPast)
    calibration: Calibration = field(default_factory=Calibration)


class Pasts:
    """Bounded; a tenant that was quiet for longest is forgotten here, not where its past is written down."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, TenantPast] = OrderedDict()

    def of(self, tenant: str) -> TenantPast:
        """That tenant's past; empty when nothing is known of it."""
        past = self._tenants.get(tenant)
        if past is None:
            past = self._tenants[tenant] = TenantPast()
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > TENANTS_MAX:
            self._tenants.popitem(last=False)
        return past

    def learn(self, record: ExperienceRecord) -> None:
        """Take in what a task came to. Tasks that never ran say nothing."""
        if not record.steps:
            return
        past = self.of(record.tenant)
        past.steps.learn(record)
        if record.estimate is not None and tells_of_its_plan(record):
            past.calibration.learn(record.estimate.uncalibrated, success=record.success)

    def snapshot(self, tenant: str) -> PlanningPast:
        """What a worker that starts should know."""
        past = self.of(tenant)
        return past.steps.snapshot(tenant, past.calibration.forecasts)

    def restore(self, stored: PlanningPast) -> None:
        """Take over what another worker wrote down, when it knows more."""
        past = self.of(stored.tenant)
        if stored.tasks > past.steps.tasks:
            past.steps.restore(stored)
            past.calibration.restore(stored.forecasts)
