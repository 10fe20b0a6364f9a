"""Every step, in the order in which it is played."""

from tests.conformance import apps, deploying, reading, running, signing_in
from tests.conformance.play import Step

SCENES: dict[str, tuple[Step, ...]] = {
    "signing in": signing_in.STEPS,
    "deploying": deploying.STEPS,
    "running": running.STEPS,
    "reading": reading.STEPS,
    "apps": apps.STEPS,
}
STEPS: tuple[tuple[str, Step], ...] = tuple((scene, step) for scene, steps in SCENES.items() for step in steps)
