"""Hashing, checking and judging passwords."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from app.common.clock import Clock
from app.common.ids import ApplicationId
from app.common.secrets import encode
from app.limits.logic import account_wait, memory_seconds, wait, with_failure
from app.limits.store import SIGN_INS, counted, network_key
from app.limits.types import Limits, Tally, TooManyAttempts
from app.passwords.store import failed, unchanged
from app.passwords.types import (
    MAX_LENGTH,
    Credential,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from app.storage.work import Write

# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32
SHORTEST = 8  # no application takes a shorter one
SHORTEST_WORD = 3
LONGEST_REPEATED = 4
RUNS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz")
LETTERS_OF_ITS_OWN = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Passwords:
    """Argon2id (RFC 9106) over the NFKC form of a password."""

    memory_kib: int = MEMORY_KIB
    passes: int = PASSES

    def hash(self, password: str) -> str:
        """A PHC string with a salt of its own. Takes about 20 ms of one core and 19 MiB."""
        return str(self._hasher().hash(normal(password)))

    def verify(self, credential: Credential | None, password: str) -> bool:
        """Whether it is the password; without a credential it takes as long and says no."""
        from argon2.exceptions import InvalidHashError, VerificationError

        known = credential is not None and credential.hash is not None
        stored = credential.hash if credential is not None and credential.hash else self._nobody()
        try:
            right = self._hasher().verify(stored, normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(right) and known

    def outdated(self, credential: Credential) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return bool(credential.hash and self._hasher().check_needs_rehash(credential.hash))

    def _nobody(self) -> str:
        """A hash that no password has, of the same cost as everybody's."""
        salt, tag = encode(bytes(SALT_BYTES)), encode(bytes(HASH_BYTES))
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p={LANES}${salt}${tag}"

    def _hasher(self) -> Any:
        return _hasher(self.memory_kib, self.passes)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One typed password; hashed once for what is stored, however often the store is asked."""

    passwords: Passwords
    typed: str = field(repr=False)
    _verdicts: dict[str | None, bool] = field(default_factory=dict, repr=False)

    def fits(self, credential: Credential) -> bool:
        if credential.hash not in self._verdicts:
            self._verdicts[credential.hash] = self.passwords.verify(credential, self.typed)
        return self._verdicts[credential.hash]


@dataclass(frozen=True, kw_only=True, eq=False)
class Guesses:
    """Bounds how many passwords anybody learns the truth about (NIST SP 800-63B-4, 3.2.2).

    Whoever is over a limit is sent away before anything is compared. A verdict leaves the service
    only with a commit that holds while nothing else was counted since the counts were read: a
    wrong password is counted by it, a right one writes nothing for it. So a burst of parallel
    guesses learns no more than the same guesses one after another.
    """

    limits: Limits
    clock: Clock

    def check(self, credential: Credential, tally: Tally, network: str) -> None:
        """Let another guess pass.

        Raises:
            TooManyAttempts: this account, or this network, has to wait.
        """
        if not self.limits.on:
            return
        now, times = self.clock.seconds(), tally.times.get(SIGN_INS, ())
        seconds = max(
            account_wait(self.limits, credential.failures, network, now),
            wait([self.limits.sign_in_network], times, now),
        )
        if seconds:
            raise TooManyAttempts(retry_after=seconds)

    def wrong(
        self,
        application_id: ApplicationId,
        address_digest: str,
        credential: Credential,
        tally: Tally,
        network: str,
    ) -> list[Write]:
        """The writes that count a wrong password, at its account and at its network."""
        if not self.limits.on:
            return []
        now = self.clock.seconds()
        failures = with_failure(self.limits, credential.failures, network, now)
        ends = now + memory_seconds(self.limits)
        rates = {SIGN_INS: [self.limits.sign_in_network]}
        return [
            failed(application_id, address_digest, credential, failures, ends=ends),
            counted(network_key(application_id, network), tally, now, **rates),
        ]

    def right(
        self, application_id: ApplicationId, address_digest: str, credential: Credential
    ) -> Write:
        """Writes nothing, but holds only while neither password nor counts have changed."""
        return unchanged(application_id, address_digest, credential)


@cache
def _hasher(memory_kib: int, passes: int) -> Any:
    # argon2 costs a cold start 30 ms, and most requests hash nothing.
    from argon2 import PasswordHasher

    return PasswordHasher(
        time_cost=passes,
        memory_cost=memory_kib,
        parallelism=LANES,
        hash_len=HASH_BYTES,
        salt_len=SALT_BYTES,
    )


def normal(password: str) -> str:
    """The form in which passwords are compared (NFKC, NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def judge(
    password: str, *, min_length: int, words: tuple[str, ...], field: str = "password"
) -> None:
    """Refuse a password that should not be taken.

    Args:
        password: as it was typed.
        min_length: in characters of its NFKC form.
        words: the address and the application's name, of which it may not be made.
        field: the member of the body to name.

    Raises:
        PasswordTooShort: it has fewer characters.
        PasswordTooLong: it has more than 256.
        PasswordTooCommon: it is a common one, white space, one character repeated, or made of
            `words`.
    """
    text = normal(password)
    if len(text) > MAX_LENGTH:
        raise PasswordTooLong(field=field)
    if len(text) < min_length:
        raise PasswordTooShort(field=field)
    folded = text.casefold()
    monotonous = folded.isspace() or _repeats(folded) or _runs(folded)
    if monotonous or folded in _common() or _made_of(folded, words):
        raise PasswordTooCommon(field=field)


def _repeats(folded: str) -> bool:
    """Whether it is one short piece over and over, such as `12341234` or `lovelove`."""
    sizes = range(1, LONGEST_REPEATED + 1)
    return any((folded[:size] * len(folded))[: len(folded)] == folded for size in sizes)


def _runs(folded: str) -> bool:
    """Whether it runs along the digits or the alphabet, either way."""
    return any(folded in run or folded[::-1] in run for run in RUNS)


def _made_of(folded: str, words: tuple[str, ...]) -> bool:
    """Whether hardly a letter is left once the words are taken out of the password."""
    parts = {part for word in words for part in _parts(normal(word).casefold())}
    found = [part for part in sorted(parts, key=len, reverse=True) if part in folded]
    if not found:
        return False
    for part in found:
        folded = folded.replace(part, " ")
    return sum(character.isalpha() for character in folded) < LETTERS_OF_ITS_OWN


def _parts(word: str) -> set[str]:
    """A word, its halves around an `@`, and the pieces between its punctuation."""
    pieces = {word, *word.split("@"), *re.split(r"[\W_]+", word), re.sub(r"[\W_]+", "", word)}
    return {piece for piece in pieces if len(piece) >= SHORTEST_WORD}


@cache
def _common() -> frozenset[str]:
    """40,000 passwords of leaks, and words and names that are as good as those."""
    # Read at the first sign-up only: 60 ms.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    # A word stands in the one list where it ranks highest: `jennifer` is not among the passwords.
    return frozenset(
        word for words in FREQUENCY_LISTS.values() for word in words if len(word) >= SHORTEST
    )
