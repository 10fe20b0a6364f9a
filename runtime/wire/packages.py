"""Deployments and configurations: versions of code and of settings."""

from uuid import UUID

from runtime.wire.model import Instant, Page, WireModel

DEPLOYMENT_ARCHIVE_PART = "files"
DEPLOYMENT_REQUIREMENTS_PART = "requirements"
CONFIGURATION_ARCHIVE_PART = "file"


class PackageResponse(WireModel):
    """What deployments and configurations have in common.

    `content_hash` is the package hash that clients compute, `size` the bytes of the uploaded archive.
    `created_by_email` is this runtime's own.
    """

    id: UUID
    workspace_id: UUID
    version: int
    content_hash: str
    file_count: int
    size: int
    created_by: UUID
    created_by_email: str | None = None
    date_added: Instant
    date_updated: Instant


class DeploymentResponse(PackageResponse):
    """A version of the code; `requirements_size` is the bytes of the requirements beside it."""

    requirements_size: int


class ConfigurationResponse(PackageResponse):
    """A version of the settings; `profiles` is one comma-separated text."""

    profiles: str


class PackageFileItem(WireModel):
    """One file of a package, exactly as its manifest lists it; `linkname` only for symbolic links."""

    relative_path: str
    size_in_bytes: int
    sha3_256: str
    linkname: str | None = None


class FilesManifest(WireModel):
    """The files of a package, sorted by path."""

    engine_version: int
    files: list[PackageFileItem]


class ListDeploymentsResponse(Page[DeploymentResponse]):
    """Deployments, highest version first."""


class ListConfigurationsResponse(Page[ConfigurationResponse]):
    """Configurations, highest version first."""
