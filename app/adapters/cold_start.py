"""What a cold start on Lambda leaves out of its imports, which are most of it.

Each of these was measured by `python -m tests.bench.speed`; none changes what the app does.
"""

import gc
import os
import sys

# FastAPI looks for them at its import, or with its first route, in case a model has an e-mail
# field or is one of pydantic 1, as none of ours is or has. It does without where they are missing.
UNUSED = ("email_validator", "pydantic.v1")
OURS = "email_validator"  # which our own code imports with the first address


def begin() -> None:
    """Call this before FastAPI is imported; it does nothing outside of Lambda's runtime."""
    if not on_lambda():
        return
    # What is imported stays for ever: looking for garbage among it takes a fifth of the time.
    gc.disable()
    from pydantic import BaseModel

    # FastAPI has 40 models of OpenAPI's own objects, which only `/openapi.json` needs.
    BaseModel.model_config["defer_build"] = True
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment] # Python's mark of a module to refuse


def end() -> None:
    """Call this once everything is imported."""
    if not on_lambda():
        return
    if sys.modules[OURS] is None:
        del sys.modules[OURS]
    gc.freeze()
    gc.enable()


def on_lambda() -> bool:
    """Whether this process was started by Lambda's runtime, and not by a test or a server."""
    return "AWS_LAMBDA_RUNTIME_API" in os.environ
