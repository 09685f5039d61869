import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.serving import ADMIN_KEY, serving

README = Path(__file__).parents[2] / "README.md"
PORT = 8000


def tour() -> str:
    """The commands under the heading "Tour", as a reader pastes them."""
    found = re.search(r"<!-- tour -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_tour_works_as_pasted(tmp_path: Path, shell: str) -> None:
    assert shutil.which(shell)
    assert shutil.which("curl")
    folder = tmp_path / ".passerine"
    # The address is the pasted one, unless something of the developer's listens there.
    with serving(folder, port=PORT if is_free(PORT) else 0) as served:
        (folder / "admin-api-key").write_text(ADMIN_KEY)
        commands = tour().replace(f"http://127.0.0.1:{PORT}", served.origin)
        done = subprocess.run(
            [shell, "-eu", "-c", commands],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert '"email":"ada@example.com"' in done.stdout
    assert done.stdout.strip().endswith("Bearer")
