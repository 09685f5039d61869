"""Settings under which no limit comes in the way of tests that are about something else."""

FREE = "10000/1s"


def unlimited(store: str = "sqlite") -> dict[str, str]:
    """By the names of `Settings`; `off` is for one machine alone."""
    if store == "sqlite":
        return {"rate_limits": "off"}
    names = ("sign_in", "sign_in_account", "sign_in_network", "messages", "messages_network")
    return {f"limit_{name}": FREE for name in (*names, "sign_up_network", "refresh")}
