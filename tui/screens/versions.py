"""Versions of the code and of the configuration: who, when, which files, and what differs between two of them."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static, TabbedContent, TabPane

from cli.output.code_diff import FileChange, counts_text, file_changes
from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.sizes import bytes_text
from runtime.wire.packages import ConfigurationResponse, DeploymentResponse, PackageResponse
from tui import actions
from tui.estate import Changed
from tui.screens.file_diff import FileDiffScreen
from tui.screens.page import Page
from tui.screens.prompts import Confirm
from tui.widgets.listing import Column, Listing

KINDS = ("deployments", "configurations")
_SIGNS = {"added": "+", "changed": "~", "removed": "-", "same": " "}
_STYLES = {"added": "green", "changed": "cyan", "removed": "red", "same": ""}


class VersionsScreen(Page):
    """Two tabs, one for each kind of version; a version is compared with the one before it, or with the one chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "other", "Code/configuration"),
        Binding("tab", "app.focus_next", "Files", show=False),
        Binding("b", "base", "Compare with", tooltip="compare other versions with the one under the cursor"),
        Binding("r", "redeploy", "Redeploy", tooltip="make the version under the cursor the newest again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._base: dict[str, int] = {}
        self._compared: dict[str, tuple[int, int, list[FileChange]]] = {}

    def content(self) -> ComposeResult:
        """Versions left, files right."""
        with TabbedContent(initial="deployments"):
            for kind, title in zip(KINDS, ("Code", "Configuration"), strict=True):
                with TabPane(title, id=kind), Horizontal(classes="row"):
                    with Vertical(classes="versions-side"):
                        yield Listing(self._columns(kind), lambda one: one.version, empty="none yet", id=f"{kind}-list")
                    with Vertical():
                        yield Static(classes="note", id=f"{kind}-note", markup=False)
                        yield Listing(_FILES, lambda one: one.path, empty="no files", id=f"{kind}-files")

    def changed(self, changed: Changed) -> None:
        """Ask anew when there is a new version."""
        if not (changed.everything or changed.packages):
            return
        client, workspace_id = self.place.client, self.place.workspace_id
        self.fetch(lambda: list(client.deployments(workspace_id)), self._show_code, group="deployments")
        self.fetch(lambda: list(client.configurations(workspace_id)), self._show_settings, group="configurations")

    def tick(self) -> None:
        """Relative times."""
        for kind in KINDS:
            self.query_one(f"#{kind}-list").refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """A configuration is not deployed again: it holds secrets that may have been changed for a reason."""
        return action != "redeploy" or not self.is_mounted or self._kind == "deployments"

    def action_other(self) -> None:
        """The other kind of version."""
        tabs = self.query_one(TabbedContent)
        tabs.active = KINDS[1 - KINDS.index(tabs.active)]
        self.query_one(f"#{tabs.active}-list").focus()
        self.refresh_bindings()

    def action_base(self) -> None:
        """Compare with the version under the cursor from now on, or with the one before again."""
        kind, listing = self._kind, self.query_one(f"#{self._kind}-list", Listing)
        if listing.current is None:
            return
        version = listing.current.version
        if self._base.get(kind) == version:
            del self._base[kind]
            self.notify("each version is compared with the one before it", timeout=3)
        else:
            self._base[kind] = version
            self.notify(f"compared with version {version} from now on", timeout=3)
        listing.refresh()
        self._ask_for_files(kind, listing.current)

    def action_redeploy(self) -> None:
        """Make the version under the cursor the newest again, after saying what that changes."""
        version, place = self.query_one("#deployments-list", Listing).current, self.place
        if version is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.ours.act(lambda: actions.redeploy(place, version.version))

        def show(plan: str) -> None:
            if not self.is_current:  # keys meant for another screen would answer
                self.notify(
                    f"press r on version {version.version} again to redeploy it", title="nothing was redeployed"
                )
                return
            self.app.push_screen(Confirm(f"Redeploy version {version.version}?\n\n{plan}"), answered)

        self.fetch(lambda: actions.redeploy_plan(place, version.version), show, group="plan")

    @property
    def _kind(self) -> str:
        return self.query_one(TabbedContent).active or KINDS[0]

    def _columns(self, kind: str) -> list[Column[PackageResponse]]:
        columns: list[Column[PackageResponse]] = [
            Column("", lambda one: "=" if self._base.get(kind) == one.version else "", 1),
            Column("Version", lambda one: str(one.version), 7),
            Column("Created", lambda one: self.brief(one.date_added), 14),
            Column("By", lambda one: clean(one.created_by_email or ""), spare=1),
            Column("Files", lambda one: str(one.file_count), 5, right=True, spare=3),
            Column("Size", lambda one: bytes_text(one.size), 8, right=True, spare=4),
        ]
        if kind == "configurations":
            columns.append(Column("Profiles", lambda one: clean(getattr(one, "profiles", "").replace(",", ", ")),
                                  14, spare=2))  # fmt: skip
        else:
            columns.append(Column("Hash", lambda one: one.content_hash[:10], 10, spare=5))
        return columns

    def _show_code(self, versions: list[DeploymentResponse]) -> None:
        self._show_versions("deployments", versions)

    def _show_settings(self, versions: list[ConfigurationResponse]) -> None:
        self._show_versions("configurations", versions)

    def _show_versions(self, kind: str, versions: Sequence[PackageResponse]) -> None:
        listing = self.query_one(f"#{kind}-list", Listing)
        listing.show(versions)
        if self._base.get(kind) not in {one.version for one in versions}:
            self._base.pop(kind, None)
        if self._kind == kind and not self.query_one(f"#{kind}-files").has_focus:
            listing.focus()
        if versions and listing.current is not None:
            self._ask_for_files(kind, listing.current)

    def on_listing_highlighted(self, event: Listing.Highlighted) -> None:
        """Show the files of a version."""
        kind = (event.listing.id or "").removesuffix("-list")
        if kind in KINDS and event.row is not None:
            self._ask_for_files(kind, event.row)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """From a version to its files, from a file of the code to what changed in it."""
        kind, _, part = (event.listing.id or "").partition("-")
        if part == "list":
            self.query_one(f"#{kind}-files").focus()
        elif kind == "configurations":
            self.notify("the contents of a configuration never leave the daemon", title="names and hashes only")
        elif kind in self._compared:
            before, after, changes = self._compared[kind]
            self.app.push_screen(FileDiffScreen(before, after, changes, changes.index(event.row)))

    def _ask_for_files(self, kind: str, version: PackageResponse) -> None:
        client, workspace_id, after = self.place.client, self.place.workspace_id, version.version
        before = self._before(kind, after)
        if self._compared.get(kind, (0, 0, []))[:2] != (before, after):
            self._forget_files(kind)

        def ask() -> list[FileChange]:
            files = client.package_files(workspace_id, kind, after).files
            return file_changes(client.package_files(workspace_id, kind, before).files if before else (), files)

        def show(changes: list[FileChange]) -> None:
            self._compared[kind] = (before, after, changes)
            files = self.query_one(f"#{kind}-files", Listing)
            files.say_empty("no files")
            files.show(changes)
            by = f"by {clean(version.created_by_email)}" if version.created_by_email else ""
            since = f"since version {before}" if before else "the first version that there is"
            note = f"version {after} {by}\n{since}: {counts_text(changes)}"
            if isinstance(version, ConfigurationResponse):
                note += f"\n{self._profiles_text(version)}"
            self.query_one(f"#{kind}-note", Static).update(note)

        self.fetch(ask, show, group=f"{kind}-files")

    def _before(self, kind: str, after: int) -> int:
        """The version to compare with; 0 where there is none.

        That is the next lower one that there is: numbers have gaps where old versions need not be kept.
        """
        rows = self.query_one(f"#{kind}-list", Listing).rows
        return self._base.get(kind) or max((row.version for row in rows if row.version < after), default=0)

    def _forget_files(self, kind: str) -> None:
        """Show nothing of another version while an answer is waited for, or if none comes."""
        self._compared.pop(kind, None)
        self.query_one(f"#{kind}-note", Static).update("")
        files = self.query_one(f"#{kind}-files", Listing)
        files.say_empty("")
        files.show([], anew=True)

    def _profiles_text(self, version: ConfigurationResponse) -> str:
        """Which profiles it has, and which the jobs would look for in vain."""
        present = [name for name in version.profiles.split(",") if name]
        wanted: dict[str, list[str]] = {}
        for job in self.estate.jobs.values():
            if not job.archived and job.profile and job.profile not in present:
                wanted.setdefault(job.profile, []).append(short_ref(job.job_ref))
        missing = "; ".join(f"{name} ({', '.join(sorted(jobs))})" for name, jobs in sorted(wanted.items()))
        return clean(f"profiles: {', '.join(present) or 'none'}; missing: {missing or 'none'}")


_FILES: list[Column[FileChange]] = [
    Column("", lambda one: _SIGNS[one.fate], 1, lambda one: _STYLES[one.fate]),
    Column("File", lambda one: clean(one.path)),
    Column("Change", lambda one: one.fate if one.fate != "same" else "", 7, lambda one: _STYLES[one.fate]),
    Column("Size", lambda one: bytes_text(one.file.size_in_bytes), 8, right=True, spare=1),
    Column("Hash", lambda one: one.file.sha3_256[:10], 10, spare=2),
]
