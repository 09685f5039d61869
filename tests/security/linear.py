"""Whether a concurrent history could have happened one call after another.

A search in the manner of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993), with
states remembered as Lowe does ("Testing for linearizability", 2017): some order of the calls must
respect who had ended before whom began, and give every call the answer that it got. A call without
a verdict (503) took effect at some moment between its beginning and its end, or never.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Verdict = int | None  # a status; none was given: 503
NOBODY, FIRST = 0, -1


@dataclass(frozen=True, kw_only=True)
class State:
    """One address, as the contract has it.

    Attributes:
        owner: nobody, the first user, or the number of the invitation that made a later one.
        session: whether the first user's session lives.
        reset: whether the first user's link for a reset is good.
        invitations: the numbers of those that can be completed.
    """

    owner: int = NOBODY
    password: str = ""
    suspended: bool = False
    session: bool = False
    reset: bool = False
    invitations: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: what was asked, when it began and ended, and its verdict."""

    kind: Literal["sign in", "reset", "change", "suspend", "activate", "delete", "verify"]
    began: int = 0
    ended: int = 0
    verdict: Verdict = None
    password: str = ""
    new: str = ""
    invitation: int = 0


def sign_in(state: State, call: Call) -> tuple[State, int]:
    if state.owner == NOBODY or state.password != call.password:
        return state, 401
    return state, 403 if state.suspended else 200


def reset(state: State, call: Call) -> tuple[State, int]:
    if not state.reset:
        return state, 400
    return replace(state, password=call.password, reset=False, session=False), 204


def change(state: State, call: Call) -> tuple[State, int]:
    if not state.session or state.password != call.password:
        return state, 401
    return replace(state, password=call.new, reset=False), 204


def suspend(state: State, _: Call) -> tuple[State, int]:
    if state.owner != FIRST:
        return state, 404
    return replace(state, suspended=True, session=False, reset=False), 200


def activate(state: State, _: Call) -> tuple[State, int]:
    if state.owner != FIRST:
        return state, 404
    if not state.suspended:
        return state, 200
    return replace(state, suspended=False, session=False, reset=False), 200


def delete(state: State, _: Call) -> tuple[State, int]:
    return (State(), 204) if state.owner == FIRST else (state, 404)


def verify(state: State, call: Call) -> tuple[State, int]:
    if call.invitation not in state.invitations:
        return state, 400
    return State(owner=call.invitation, password=call.password), 200


RULES: dict[str, Callable[[State, Call], tuple[State, int]]] = {
    "sign in": sign_in,
    "reset": reset,
    "change": change,
    "suspend": suspend,
    "activate": activate,
    "delete": delete,
    "verify": verify,
}


def explains(calls: Sequence[Call], begin: State, end: State | None = None) -> bool:
    """Whether some order of the calls gives each its verdict.

    Args:
        calls: all that happened to one address.
        begin: what was there before.
        end: what must be there afterwards, as far as it is known: owner or not, and the password.
    """
    seen: set[tuple[frozenset[int], State]] = set()

    def fits(state: State) -> bool:
        if end is None:
            return True
        return (state.owner == NOBODY) == (end.owner == NOBODY) and state.password == end.password

    def search(left: frozenset[int], state: State) -> bool:
        if not left:
            return fits(state)
        if (left, state) in seen:
            return False
        seen.add((left, state))
        first_end = min(calls[number].ended for number in left)
        for number in left:
            call = calls[number]
            rest = left - {number}
            if call.verdict is None and search(rest, state):
                return True  # it never took effect
            if call.began > first_end:
                continue  # another had ended before it began
            after, verdict = RULES[call.kind](state, call)
            if call.verdict in {None, verdict} and search(rest, after):
                return True
        return False

    return search(frozenset(range(len(calls))), begin)
