"""The sealing key of the machine; these bodies are this runtime's own, not the contract's."""

from runtime.wire.model import WireModel


class RotatedKeyResponse(WireModel):
    """What is sealed with the new key.

    `key_id` names the key and tells nothing of it. `unreadable_files` counts files of configurations that no key opens,
    damaged ones for instance; they stay as they were.
    """

    key_id: str
    resealed_files: int
    unreadable_files: int
