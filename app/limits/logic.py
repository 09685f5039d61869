"""When somebody has to wait, and what a request may spend."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.common.clock import Clock
from app.common.ids import ApplicationId
from app.limits.store import (
    MESSAGES,
    REFRESHES,
    SIGN_UPS,
    TallyStore,
    counted,
    message_key,
    network_key,
)
from app.limits.types import Failures, Limits, Penalty, Rate, Tally, TooManyAttempts, recent
from app.storage.work import Write


def wait(rates: Iterable[Rate], times: Iterable[int], now: int) -> int:
    """Seconds until one more is within every rate; 0 when it is now."""
    longest = 0
    for rate in rates:
        counted = recent(times, rate.seconds, now)
        if len(counted) >= rate.count:
            longest = max(longest, counted[-rate.count] + rate.seconds - now)
    return longest


def account_wait(limits: Limits, failures: Failures, network: str, now: int) -> int:
    """Seconds until another password may be tried at an account from a network."""
    everywhere = wait([limits.sign_in_account], failures.times, now)
    here = failures.networks.get(network, Penalty()).until - now
    # No wait that is given is longer: this one was given by a clock that ran ahead.
    return max(everywhere, here if here <= limits.longest_wait else 0)


def with_failure(limits: Limits, failures: Failures, network: str, now: int) -> Failures:
    """What is known of an account after one more wrong password."""
    kept = {
        name: penalty
        for name, penalty in failures.networks.items()
        if _lives(limits, penalty, now) and name != network
    }
    before = failures.networks.get(network, Penalty())
    after = _punished(limits, before if _lives(limits, before, now) else Penalty(), now)
    times = (*recent(failures.times, limits.sign_in_account.seconds, now), now)
    return Failures(times=times, networks={**kept, network: after})


def _punished(limits: Limits, penalty: Penalty, now: int) -> Penalty:
    times = (*recent(penalty.times, limits.sign_in.seconds, now), now)[-limits.sign_in.count :]
    if not penalty.waits and len(times) < limits.sign_in.count:
        return replace(penalty, times=times)
    length = min(limits.longest_wait, limits.FIRST_WAIT * 2 ** min(penalty.waits, 16))
    return Penalty(times=times, waits=penalty.waits + 1, until=now + length)


def _lives(limits: Limits, penalty: Penalty, now: int) -> bool:
    """Whether anything of a penalty still counts: as long again as the longest wait, at most."""
    waited = penalty.waits > 0 and abs(now - penalty.until) < limits.longest_wait
    return waited or bool(recent(penalty.times, limits.sign_in.seconds, now))


def memory_seconds(limits: Limits) -> int:
    """How long an account's failures matter after the latest of them."""
    return max(limits.sign_in.seconds, limits.sign_in_account.seconds, 2 * limits.longest_wait)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a network may still do in an application, as read for one request."""

    limits: Limits
    application_id: ApplicationId
    network: str
    tally: Tally
    now: int

    def check_sign_up(self) -> None:
        """Let another sign-up pass.

        Raises:
            TooManyAttempts: this network has to wait.
        """
        if not self.limits.on:
            return
        times = self.tally.times.get(SIGN_UPS, ())
        seconds = wait([self.limits.sign_up_network], times, self.now)
        if seconds:
            raise TooManyAttempts(retry_after=seconds)

    def sign_up(self) -> list[Write]:
        """The writes that count a sign-up which nobody is written to about."""
        return self._spend(SIGN_UPS)

    def refused_refresh(self) -> list[Write]:
        """The writes that count a refresh token that was no good.

        Raises:
            TooManyAttempts: this network has to wait.
        """
        times = self.tally.times.get(REFRESHES, ())
        seconds = wait([self.limits.refresh], times, self.now) if self.limits.on else 0
        if seconds:
            raise TooManyAttempts(retry_after=seconds)
        return self._spend(REFRESHES)

    def message(
        self, address_digest: str, sent: Tally, kind: str, *, sign_up: bool = False
    ) -> list[Write] | None:
        """The writes that count a message to an address; `None` if it may not be sent now.

        Args:
            address_digest: whose mailbox it would reach.
            sent: what was sent there lately, by kind.
            kind: of the message.
            sign_up: whether it is a sign-up that asks for it.
        """
        if not self.limits.on:
            return []
        of_network = wait(
            [self.limits.messages_network], self.tally.times.get(MESSAGES, ()), self.now
        )
        if of_network or wait(self.limits.messages, sent.times.get(kind, ()), self.now):
            return None
        key = message_key(self.application_id, address_digest)
        return [
            counted(key, sent, self.now, **{kind: self.limits.messages}),
            *self._spend(MESSAGES, *([SIGN_UPS] if sign_up else [])),
        ]

    def _spend(self, *names: str) -> list[Write]:
        if not self.limits.on:
            return []
        rates = {
            MESSAGES: self.limits.messages_network,
            REFRESHES: self.limits.refresh,
            SIGN_UPS: self.limits.sign_up_network,
        }
        spent = {name: [rates[name]] for name in names}
        return [
            counted(network_key(self.application_id, self.network), self.tally, self.now, **spent)
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Allowances:
    """What networks and addresses may spend."""

    limits: Limits
    store: TallyStore
    clock: Clock

    def of(self, application_id: ApplicationId, network: str) -> Budget:
        """What a network has left."""
        nothing = Tally(item=None, times={})
        limited = self.limits.on
        return Budget(
            limits=self.limits,
            application_id=application_id,
            network=network,
            tally=self.store.of_network(application_id, network) if limited else nothing,
            now=self.clock.seconds(),
        )
