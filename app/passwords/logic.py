"""Hashing, checking and judging passwords."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.common.secrets import encode
from app.passwords.types import (
    MAX_LENGTH,
    Credential,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)

# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32
SHORTEST_WORD = 3
LETTERS_OF_ITS_OWN = 4


@dataclass(frozen=True, kw_only=True)
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

        stored = self._nobody() if credential is None else credential.hash
        try:
            right = self._hasher().verify(stored, normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(right) and credential is not None

    def outdated(self, credential: Credential) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return bool(self._hasher().check_needs_rehash(credential.hash))

    def _nobody(self) -> str:
        """A hash that no password has, of the same cost as everybody's."""
        salt, tag = encode(bytes(SALT_BYTES)), encode(bytes(HASH_BYTES))
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p={LANES}${salt}${tag}"

    def _hasher(self) -> Any:
        return _hasher(self.memory_kib, self.passes)


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
    monotonous = folded.isspace() or len(set(folded)) == 1
    if monotonous or folded in _common() or _made_of(folded, words):
        raise PasswordTooCommon(field=field)


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
    """30,000 passwords of leaks, most frequent first where they come from."""
    # Read at the first sign-up only: 60 ms.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
