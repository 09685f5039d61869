import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.needs import missing
from tests.serving import serving

VERIFIER = Path(__file__).with_name("jose_verifier.mjs")
PASSWORD = "a quiet little bird"


@pytest.fixture(scope="module")
def node() -> str:
    found, modules = shutil.which("node"), os.environ.get("PASSERINE_TEST_NODE_MODULES")
    if not (found and modules):
        missing("Node, and PASSERINE_TEST_NODE_MODULES naming a folder with npm's jose")
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_jose_accepts_our_token_and_refuses_another_applications(
    tmp_path: Path, node: str, algorithm: str
) -> None:
    with serving(tmp_path) as served:
        ours = served.create_application(signingAlgorithm=algorithm)
        theirs = served.create_application(signingAlgorithm=algorithm)
        mine = served.sign_up(ours, "ada@example.com", PASSWORD)["accessToken"]
        foreign = served.sign_up(theirs, "grace@example.com", PASSWORD)["accessToken"]
        changed = mine[:-4] + ("AAAA" if mine[-4:] != "AAAA" else "BBBB")
        audience = ours.rpartition("/")[2]
        done = subprocess.run(
            [node, VERIFIER, served.origin + ours, audience, mine, foreign, changed],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        me = served.http.get(f"{ours}/users/me", headers={"Authorization": f"Bearer {mine}"})
    subject, other, forged = done.stdout.split()
    assert subject == me.json()["id"]
    assert other == "ERR_JWKS_NO_MATCHING_KEY"
    assert forged == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
