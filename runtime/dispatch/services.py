"""All use cases in one hand, as the API receives them; another set of controllers can stand on the same."""

from dataclasses import dataclass

from runtime.dispatch.accounts import AccountService
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.apps import AppService
from runtime.dispatch.code_files import CodeFiles
from runtime.dispatch.configurations import ConfigurationService
from runtime.dispatch.deployments import DeploymentService
from runtime.dispatch.feed import FeedService
from runtime.dispatch.health import HealthService
from runtime.dispatch.hooks import HookService
from runtime.dispatch.insight import InsightService
from runtime.dispatch.intervals import IntervalService
from runtime.dispatch.jobs import JobService
from runtime.dispatch.keys import KeyService
from runtime.dispatch.log_pages import LogPages
from runtime.dispatch.machine import MachineService
from runtime.dispatch.manifests import ManifestService
from runtime.dispatch.members import MemberService
from runtime.dispatch.operations import Operations
from runtime.dispatch.publishing import PublishingService
from runtime.dispatch.redeploying import Redeployment
from runtime.dispatch.run_environments import RunEnvironments
from runtime.dispatch.runs import RunService
from runtime.dispatch.schedules import ScheduleService
from runtime.dispatch.signing_in import SignInService
from runtime.dispatch.statistics import StatisticsService
from runtime.dispatch.summaries import SummaryService
from runtime.dispatch.visits import VisitService
from runtime.dispatch.workspaces import WorkspaceService


@dataclass(frozen=True)
class Services:
    """What the daemon can do."""

    accounts: AccountService
    sign_in: SignInService
    approvals: ApprovalService
    workspaces: WorkspaceService
    deployments: DeploymentService
    code_files: CodeFiles
    redeployment: Redeployment
    configurations: ConfigurationService
    manifests: ManifestService
    jobs: JobService
    apps: AppService
    visits: VisitService
    runs: RunService
    log_pages: LogPages
    environments: RunEnvironments
    schedules: ScheduleService
    intervals: IntervalService
    hooks: HookService
    keys: KeyService
    members: MemberService
    publishing: PublishingService
    summaries: SummaryService
    insight: InsightService
    statistics: StatisticsService
    feed: FeedService
    health: HealthService
    machine: MachineService
    operations: Operations
