"""How long a deploy takes that changes nothing."""

import shutil
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import say_ratio, say_seconds
from tests.official_client import client_virtualenv
from tests.our_cli import OurCli
from tests.processes import REPOSITORY, DaemonProcess, plain_environment, run

ROUNDS = 7
DESCRIBE = (
    "from dlt._workspace.deployment.manifest import manifest_from_module\n"
    "from dlt._workspace.deployment.requirements import export_workspace_requirements\n"
    "from pathlib import Path\n"
    "manifest_from_module('__deployment__'); export_workspace_requirements(Path('.'))"
)


def unchanged_deploy() -> None:
    """`dlt-runtime deploy` again, beside what any client must do: have dlt describe the workspace."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        virtualenv = client_virtualenv(home)
        directory = home / "fruitshop"
        shutil.copytree(REPOSITORY / "examples" / "fruitshop", directory)
        daemon = DaemonProcess(home / "daemon").start()
        try:
            cli = OurCli(daemon.socket_url, home, directory, virtualenv)
            cli("deploy").expect()
            ours, floor = [], []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                cli("deploy").expect()
                ours.append(time.perf_counter() - began)
                began = time.perf_counter()
                environment = plain_environment(HOME=str(home), PYTHONPATH="")
                run(
                    [str(virtualenv / "bin" / "python"), "-c", DESCRIBE], cwd=directory, environment=environment
                ).expect()
                floor.append(time.perf_counter() - began)
        finally:
            daemon.close()
    say_seconds("unchanged deploy, describing the workspace", floor)
    say_seconds("unchanged deploy, our command line", ours)
    say_ratio("unchanged deploy, ours / describing", ours, floor, "close to 1")
