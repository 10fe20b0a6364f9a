"""Who may do what, the keys that open things, and what this daemon is."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import TabbedContent, TabPane

from cli.output.jobs import short_ref
from cli.output.text import clean
from cli.version import version
from runtime.sizes import bytes_text
from runtime.wire.admin import StatusResponse, TokenResponse
from runtime.wire.admin_client import AdminClient
from runtime.wire.identities import MeResponse, WorkspaceRole, WorkspaceWithMembershipResponse
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.machine import MachineResponse, MachineSizeResponse, ask_machine
from runtime.wire.member_client import MemberClient
from runtime.wire.members import WorkspaceMemberResponse
from runtime.wire.operations import CheckResponse, NotifyTargetResponse
from runtime.wire.operations_client import OperationsClient
from runtime.wire.schedules import HookResponse
from tui.estate import Changed
from tui.screens.page import Page, or_none
from tui.screens.prompts import Ask, Choose, Confirm, Tell
from tui.widgets.facts import Facts
from tui.widgets.listing import Column, Listing
from tui.widgets.parts import Parts
from tui.wording import machine_parts

TABS = ("workspaces", "members", "tokens", "hooks", "notify", "machine", "health", "about")
TOKEN_DAYS = 90
_ROLES: dict[WorkspaceRole, str] = {"viewer": "a viewer", "owner": "an owner"}


class SettingsScreen(Page):
    """Eight tabs; `n` makes a new one of what a tab lists, Delete ends the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "next", "Next tab"),
        Binding("n", "new", "New"),
        Binding("delete,x", "remove", "Remove/revoke"),
        Binding("y", "copy", "Copy", tooltip="the identifier, email, URL or remedy of the row"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._me: MeResponse | None = None
        self._status: StatusResponse | None = None

    def content(self) -> ComposeResult:
        """The tabs."""
        places: list[Column[WorkspaceWithMembershipResponse]] = [
            Column("", lambda one: "*" if one.workspace.id == self.place.workspace_id else "", 1),
            Column("Workspace", lambda one: clean(one.workspace.name)),
            Column("Role", lambda one: one.role, 8),
            Column("Created", lambda one: self.when(one.workspace.date_added), 20, spare=1),
        ]
        members: list[Column[WorkspaceMemberResponse]] = [
            Column("Member", lambda one: clean(one.email)),
            Column("Role", lambda one: one.role, 8),
        ]
        tokens: list[Column[TokenResponse]] = [
            Column("Acts as", lambda one: clean(one.email)),
            Column("Workspace", lambda one: clean(one.workspace_name), 20),
            Column("State", lambda one: "revoked" if one.date_revoked else "active", 8),
            Column("Expires", lambda one: self.when(one.date_expires), 20, spare=1),
        ]
        hooks: list[Column[HookResponse]] = [
            Column("Job", lambda one: clean(short_ref(one.job_ref)), 24),
            Column("State", lambda one: "revoked" if one.date_revoked else "active", 8),
            Column("Last used", lambda one: self.when(one.date_used) or "never", 20, spare=1),
            Column("URL", lambda one: clean(" ".join(one.urls))),
        ]
        targets: list[Column[NotifyTargetResponse]] = [
            Column("Told", lambda one: clean(one.name), 20),
            Column("By", lambda one: clean(one.kind), 10),
            Column("Of", lambda one: clean(", ".join(one.events))),
            Column("Workspaces", lambda one: clean(", ".join(one.workspaces)) or "all", 16, spare=2),
            Column("Tags", lambda one: clean(", ".join(one.tags)) or "all", 10, spare=1),
            Column("Waiting", lambda one: str(one.waiting), 7, right=True),
        ]
        checks: list[Column[CheckResponse]] = [
            Column("Check", lambda one: clean(one.name), 16),
            Column("State", lambda one: one.state, 5, lambda one: _CHECK_STYLES[one.state]),
            Column("What was found", lambda one: clean(one.message)),
            Column("What mends it", lambda one: clean(one.remedy or ""), spare=1),
        ]
        sizes: list[Column[MachineSizeResponse]] = [
            Column("Machine size", lambda one: clean(one.name)),
            Column("Memory", lambda one: _limit(one.memory_bytes), 10, right=True),
            Column("CPUs", lambda one: "no limit" if one.cpus is None else f"{one.cpus:g}", 9, right=True),
            Column("Processes", lambda one: "no limit" if one.tasks is None else f"{one.tasks:,}", 9, right=True),
            Column("Disk", lambda one: _limit(one.disk_bytes), 10, right=True),
        ]
        with TabbedContent(initial="workspaces"):
            with TabPane("Workspaces", id="workspaces"):
                yield Listing(places, lambda one: one.workspace.id, empty="none", id="workspaces-list")
            with TabPane("Members", id="members"):
                yield Listing(members, lambda one: one.user_id, empty="none", id="members-list")
            with TabPane("Tokens", id="tokens"):
                yield Listing(tokens, lambda one: one.id, empty="no machine tokens", id="tokens-list")
            with TabPane("Hooks", id="hooks"):
                yield Listing(hooks, lambda one: one.id, empty="no hook tokens", id="hooks-list")
            with TabPane("Notified", id="notify"):
                yield Listing(targets, lambda one: one.name, empty="nobody is told of anything", id="notify-list")
            with TabPane("Machine", id="machine"):
                yield Parts(id="machine-note")
                yield Listing(sizes, lambda one: one.name, empty="no machine sizes", id="machine-list")
            with TabPane("Health", id="health"):
                yield Listing(checks, lambda one: one.name, empty="nothing was looked at", id="health-list")
                yield Facts(id="health-facts")
            with TabPane("About", id="about"), VerticalScroll():
                yield Facts(id="about-facts")

    def changed(self, changed: Changed) -> None:
        """Ask for everything when the screen is looked at, and when the workspace changes."""
        if changed.everything or changed.packages:
            self._ask_for_all()

    def on_screen_resume(self) -> None:
        """The list has the keys."""
        tab = self.query_one(TabbedContent).active
        if tab != "about":
            self.query_one(f"#{tab}-list").focus()

    def tick(self) -> None:
        """Relative times."""
        for listing in self.query(Listing):
            listing.refresh()

    @property
    def _admin(self) -> AdminClient:
        return AdminClient(self.place.client.connection)

    @property
    def _members(self) -> MemberClient:
        return MemberClient(self.place.client.connection, self.place.workspace_id)

    def _ask_for_all(self) -> None:
        client, schedules, admin, members = self.place.client, self.place.schedules, self._admin, self._members
        refs = [job.job_ref for job in self._with_webhooks()]
        self.fetch(client.me, self._take_me, group="me")
        self.fetch(lambda: or_none(members.members), self._shower("members"), group="members")
        self.fetch(lambda: or_none(admin.tokens), self._shower("tokens"), group="tokens")
        self.fetch(
            lambda: [hook for ref in refs for hook in schedules.hooks(ref)], self._shower("hooks"), group="hooks"
        )
        operations = OperationsClient(client.connection)
        self.fetch(lambda: or_none(operations.targets), self._shower("notify"), group="notify")
        self.fetch(lambda: or_none(lambda: operations.doctor().checks), self._shower("health"), group="health")
        connection = client.connection
        self.fetch(lambda: or_none(lambda: ask_machine(connection)), self._show_machine, group="machine")
        self.fetch(lambda: or_none(admin.status), self._take_status, group="about")

    def _take_me(self, me: MeResponse) -> None:
        self._me = me
        self._shower("workspaces")(me.workspaces)
        self._show_about()

    def _shower(self, name: str) -> Callable[[Any], None]:
        def show(rows: Any) -> None:
            listing = self.query_one(f"#{name}-list", Listing)
            if rows is None:
                listing.say_empty(
                    "not yours to see" if name == "members" else "only administrators of the machine see these"
                )
            listing.show(rows or ())

        return show

    def _show_machine(self, machine: MachineResponse | None) -> None:
        if machine is not None:
            note = [*machine_parts(machine), f"{machine.processors} processors"]
            self.query_one("#machine-note", Parts).show(note)
        self.query_one("#machine-list", Listing).show(machine.sizes if machine else ())

    def _take_status(self, status: StatusResponse | None) -> None:
        self._status = status
        self._show_about()

    def _show_about(self) -> None:
        """Whichever answer comes first, the other one adds to it."""
        status = self._status
        endpoint = self.place.client.connection.endpoint
        pairs = [
            ("This program", f"dlt-runtime {version()}"),
            ("Daemon", endpoint.url),
            ("You", self._me.email if self._me else ""),
        ]
        if status is not None:
            pairs += [
                ("Version", status.version),
                ("State", status.state_dir),
                ("Socket", status.socket),
                ("API", status.api_base_url),
                ("TLS", status.tls_fingerprint or "none"),
                ("Users", str(status.users)),
                ("Workspaces", str(status.workspaces)),
                ("Jobs", str(status.jobs)),
                ("Active runs", str(status.active_runs)),
            ]
        self.query_one("#about-facts", Facts).show(pairs)

    # --- doing things

    def action_next(self) -> None:
        """The next tab."""
        tabs = self.query_one(TabbedContent)
        tabs.active = TABS[(TABS.index(tabs.active) + 1) % len(TABS)]
        for listing in self.query_one(f"#{tabs.active}", TabPane).query(Listing):
            listing.focus()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Go to another workspace."""
        if event.listing.id == "workspaces-list" and event.row.workspace.id != self.place.workspace_id:
            self.ours.look_at(event.row.workspace.id)

    def on_listing_highlighted(self, event: Listing.Highlighted) -> None:
        """All of what a check has found, which a line has no room for."""
        if event.listing.id == "health-list" and event.row is not None:
            check: CheckResponse = event.row
            self.query_one("#health-facts", Facts).show(
                (
                    ("Check", check.name),
                    ("State", check.state),
                    ("Found", check.message),
                    ("Mend by", check.remedy or ""),
                )
            )

    def action_copy(self) -> None:
        """Copy what a program or a person needs of the row under the cursor."""
        tab = self.query_one(TabbedContent).active
        row = self.query_one(f"#{tab}-list", Listing).current if tab != "about" else None
        texts: dict[str, Callable[[Any], str]] = {
            "workspaces": lambda one: str(one.workspace.id),
            "members": lambda one: one.email,
            "tokens": lambda one: one.email,
            "hooks": lambda one: "\n".join(one.urls),
            "health": lambda one: one.remedy or one.message,
        }
        if row is not None and tab in texts:
            self.copy(texts[tab](row))

    def action_new(self) -> None:
        """A new workspace, member, token or hook."""
        tab = self.query_one(TabbedContent).active
        ask = {"workspaces": self._new_workspace, "members": self._new_member, "tokens": self._new_token}
        ask |= {"hooks": self._new_hook}
        if tab in ask:
            ask[tab]()

    def action_remove(self) -> None:
        """End the member, token or hook under the cursor, after a question."""
        tab = self.query_one(TabbedContent).active
        row = self.query_one(f"#{tab}-list", Listing).current if tab != "about" else None
        admin, members, schedules = self._admin, self._members, self.place.schedules
        if row is None:
            return
        if tab == "members":
            self._ask_then(f"Remove {row.email} from the workspace?", lambda: members.remove(row.user_id), "removed")
        elif tab == "tokens":
            self._ask_then(f"Revoke the token of {row.email}?", lambda: admin.revoke_token(row.id), "revoked")
        elif tab == "hooks":
            self._ask_then(
                f"Revoke this hook of {short_ref(row.job_ref)}?",
                lambda: schedules.revoke_hook(row.job_ref, row.id),
                "revoked",
            )

    def _ask_then(self, question: str, do: Callable[[], object], said: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._do(do, said)

        self.app.push_screen(Confirm(question), answered)

    def _do(self, do: Callable[[], object], said: str) -> None:
        def work() -> str:
            do()
            self.app.call_from_thread(self._ask_for_all)
            return said

        self.ours.act(work)

    def _new_workspace(self) -> None:
        client, me = self.place.client, self._me

        def answered(name: str | None) -> None:
            if name and me is not None:
                self._do(lambda: client.create_workspace(me.primary_organization.id, name), f"created {name}")

        self.app.push_screen(Ask("Name of the new workspace"), answered)

    def _new_member(self) -> None:
        members = self._members

        def with_email(email: str | None) -> None:
            if email:
                self._ask_role(
                    f"Role of {email}",
                    lambda role: self._do(lambda: members.add(email, role), f"{email} is {_ROLES[role]}"),
                )

        self.app.push_screen(Ask("Email of the member"), with_email)

    def _ask_role(self, question: str, then: Callable[[WorkspaceRole], None]) -> None:
        def answered(role: str | None) -> None:
            if role == "owner":
                then("owner")
            elif role == "viewer":
                then("viewer")

        choices = (("viewer", "viewer: looks at everything"), ("owner", "owner: does everything"))
        self.app.push_screen(Choose(question, choices), answered)

    def _new_token(self) -> None:
        admin, workspace_id = self._admin, self.place.workspace_id

        def answered(email: str | None) -> None:
            if email:  # a stranger becomes a member by that, so as what is not left to a default
                self._ask_role(
                    f"Role of {email}, if they are no member yet",
                    lambda role: self._make(
                        lambda: admin.create_token(email, str(workspace_id), TOKEN_DAYS, role).token
                    ),
                )

        mine = self._me.email if self._me else ""
        hint = f"it is good for {TOKEN_DAYS} days, in this workspace"
        self.app.push_screen(Ask("As whom the machine acts (email)", mine, hint=hint), answered)

    def _new_hook(self) -> None:
        schedules = self.place.schedules
        jobs = [job for job in self._with_webhooks() if not job.archived]
        if not jobs:
            self.notify("no job has a webhook; a trigger `webhook:NAME` in the code makes one", markup=False)
            return

        def answered(job_id: str | None) -> None:
            if job_id:
                job = self.estate.jobs[UUID(job_id)]
                self._make(lambda: schedules.create_hook(job.job_ref).token)

        self.app.push_screen(Choose("Hook of which job", [(str(j.id), short_ref(j.job_ref)) for j in jobs]), answered)

    def _with_webhooks(self) -> list[DetailedScriptResponse]:
        return [job for job in self.estate.jobs.values() if any("webhook:" in one for one in job.triggers or ())]

    def _make(self, create: Callable[[], str]) -> None:
        def show(token: str) -> None:
            self._ask_for_all()
            self.app.push_screen(Tell("The token; it is not shown again", token))

        self.fetch(create, show, group="make")


_CHECK_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def _limit(size: int | None) -> str:
    return "no limit" if size is None else bytes_text(size)
