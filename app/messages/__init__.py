"""What is written to people: the kinds of message, their wording, and the port that sends them.

Owns no keys and no routes. Whoever changes a state puts a `Letter` into the same commit; the
dispatcher composes it into a `Message` and hands that to a `Mailer`.
"""
