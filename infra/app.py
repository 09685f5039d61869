"""What `cdk` runs: bundles the function's code and describes the stack.

Settings stand in `cdk.json` under `context.passerine`; `infra/config.py` says what each means, and
`--context passerine:NAME=VALUE` sets one for a single run.
"""

import os
from pathlib import Path

from aws_cdk import App, Environment
from aws_cdk import aws_lambda as lambda_

from infra.bundle import bundle
from infra.config import Config
from infra.nag import check
from infra.stack import PasserineStack

PREFIX = "passerine:"


def main() -> None:
    app = App()
    given = dict(app.node.try_get_context("passerine") or {})
    for name in Config.__dataclass_fields__:
        value = app.node.try_get_context(PREFIX + name)
        if value is not None:
            given[name] = value
    config = Config.of(given)
    code = (
        Path(config.code)
        if config.code
        else bundle(Path(app.outdir) / "bundle", platform=config.platform, python=config.python)
    )
    stack = PasserineStack(
        app,
        config.name,
        config=config,
        code=lambda_.Code.from_asset(str(code)),
        env=Environment(
            account=os.environ.get("CDK_DEFAULT_ACCOUNT"),
            region=os.environ.get("CDK_DEFAULT_REGION"),
        ),
    )
    check(stack, x_ray=config.x_ray)
    app.synth()


if __name__ == "__main__":
    main()
