"""Domain values with sensible defaults; a test names only what it is about.

Everything is validated as the runtime would, so a factory cannot make what the runtime could not meet.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from runtime.domain.identities import User, Workspace
from runtime.domain.jobs import Job, JobDefinition, JobType, JobVersion, hash_definition, normalise_definition
from runtime.domain.packages import Configuration, Deployment, PackageFile, content_digest, package_hash
from runtime.domain.requirements import WorkspaceRequirements, parse_requirements
from runtime.domain.runs import Run

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
JOB_LAUNCHER = "dlt._workspace.deployment.launchers.job"


def make_raw_definition(
    job_ref: str = "jobs.shop.load", *, job_type: JobType = "batch", **fields: Any
) -> dict[str, Any]:
    """A job definition as a manifest of engine 1 holds it; `fields` are further keys of the definition."""
    entry_point = {"module": "shop", "function": "load", "job_type": job_type, "launcher": JOB_LAUNCHER}
    return {"job_ref": job_ref, "entry_point": entry_point, "triggers": [], "execute": {}, **fields}


def make_definition(
    job_ref: str = "jobs.shop.load", *, job_type: JobType = "batch", engine: int = 1, **fields: Any
) -> JobDefinition:
    """A normalised definition; `fields` are keys of the raw one."""
    return normalise_definition(make_raw_definition(job_ref, job_type=job_type, **fields), engine)


def make_job(
    definition: JobDefinition | None = None,
    *,
    deployment_module: str | None = "__deployment__",
    version: int = 1,
    **changes: Any,
) -> Job:
    """A live job at its first version; `changes` are fields of `Job`."""
    definition = definition or make_definition()
    job_id, creator = changes.pop("id", uuid4()), changes.pop("created_by", uuid4())
    job_version = JobVersion(
        id=uuid4(),
        job_id=job_id,
        version=version,
        engine_version=1,
        definition=definition,
        definition_hash=hash_definition(definition.raw),
        deployment_module=deployment_module,
        created_by=creator,
        created_at=NOW,
    )
    fields = {
        "workspace_id": uuid4(),
        "archived_at": None,
        "created_at": NOW,
        "updated_at": NOW,
        "version": job_version,
    }
    return Job(id=job_id, job_ref=definition.job_ref, created_by=creator, **{**fields, **changes})


def make_run(job: Job | None = None, **changes: Any) -> Run:
    """A pending run number 1 of `job`; `changes` are fields of `Run`."""
    job = job or make_job()
    fields: dict[str, Any] = {
        "id": uuid4(),
        "workspace_id": job.workspace_id,
        "job_id": job.id,
        "job_ref": job.job_ref,
        "job_version_id": job.version.id,
        "deployment_id": uuid4(),
        "configuration_id": uuid4(),
        "number": 1,
        "status": "pending",
        "trigger": f"manual:{job.job_ref}",
        "profile": "prod",
        "refresh": False,
        "interval_start": NOW,
        "interval_end": NOW,
        "prev_run_id": None,
        "triggered_by": None,
        "reason": None,
        "exit_code": None,
        "created_at": NOW,
        "updated_at": NOW,
        "started_at": None,
        "ended_at": None,
    }
    return Run(**{**fields, **changes})


def make_requirements(**fields: Any) -> WorkspaceRequirements:
    """Requirements with an empty `main` group; `fields` are keys of `requirements.json`."""
    return parse_requirements({"engine_version": 1, "python_version": "3.12", "groups": {"main": []}, **fields})


def make_file(relative_path: str = "shop.py", content: bytes = b"print('apples')\n", **changes: Any) -> PackageFile:
    """A regular file of a package."""
    fields = {"size_bytes": len(content), "sha3_256": content_digest(content)}
    return PackageFile(relative_path=relative_path, **{**fields, **changes})


def make_deployment(**changes: Any) -> Deployment:
    """A first version of one file, as far as a deployment says so itself."""
    fields: dict[str, Any] = {
        "id": uuid4(),
        "workspace_id": uuid4(),
        "version": 1,
        "content_hash": package_hash([make_file()]),
        "file_count": 1,
        "size_bytes": 512,
        "requirements_size_bytes": 2,
        "requirements": make_requirements(),
        "created_by": uuid4(),
        "created_at": NOW,
    }
    return Deployment(**{**fields, **changes})


def make_configuration(**changes: Any) -> Configuration:
    """A first version of the settings, with a `prod` profile."""
    file = make_file("prod.config.toml", b"[runtime]\n")
    fields: dict[str, Any] = {
        "id": uuid4(),
        "workspace_id": uuid4(),
        "version": 1,
        "content_hash": package_hash([file]),
        "file_count": 1,
        "size_bytes": 256,
        "profiles": ("prod",),
        "created_by": uuid4(),
        "created_at": NOW,
    }
    return Configuration(**{**fields, **changes})


def make_user(email: str = "ada@example.org", **changes: Any) -> User:
    """A person who may log in."""
    return User(**{"id": uuid4(), "email": email, "local_uid": None, "created_at": NOW, "disabled_at": None, **changes})


def make_workspace(name: str = "fruitshop", **changes: Any) -> Workspace:
    """A workspace without members."""
    fields = {"id": uuid4(), "description": None, "created_at": NOW, "updated_at": NOW}
    return Workspace(name=name, **{**fields, **changes})
