"""Looking into versions of the code, and deploying an older one again. This runtime's own."""

from typing import Literal

from runtime.wire.manifests import DeployManifestResponse
from runtime.wire.model import Flag, WireModel
from runtime.wire.packages import DeploymentResponse


class CodeFileResponse(WireModel):
    """One file of a deployment.

    `kind` says whether `text` is there: `binary` is no UTF-8 text, `large` more than is shown, and of a `link` there is
    `linkname`.
    """

    relative_path: str
    size_in_bytes: int
    sha3_256: str
    kind: Literal["text", "binary", "large", "link"]
    text: str | None = None
    linkname: str | None = None


class RedeployRequest(WireModel):
    """Deploys a version again, or with `dry_run` says what that would change."""

    dry_run: Flag = False


class RedeployResponse(WireModel):
    """What it did, or would do: one entry of `modules` for each deployment module.

    `deployment` is the newest version afterwards; it is left out where a dry run found that there would be a new one.
    """

    deployment: DeploymentResponse | None = None
    modules: list[DeployManifestResponse]
    warnings: list[str]
