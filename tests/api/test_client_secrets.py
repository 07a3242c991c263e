"""Keys for browsers: they expire, and nobody keeps too many."""

from api.client_secrets import MAX_SECRETS, SecretsInMemory


def test_a_secret_expires() -> None:
    now = [1_000.0]
    known = SecretsInMemory(lambda: now[0])
    value, secret = known.make("ann", {"type": "realtime"}, 60)
    assert value.startswith("ek_") and known.find(value) == secret
    assert (secret.owner, secret.expires_at) == ("ann", 1_060)
    now[0] = 1_060.0
    assert known.find(value) is None and known.find("ek_other") is None


def test_the_oldest_of_an_owner_go_and_nobody_else_s() -> None:
    known = SecretsInMemory(lambda: 0.0)
    other, _ = known.make("bob", {}, 60)
    values = [known.make("ann", {}, 60)[0] for _ in range(MAX_SECRETS + 2)]
    found = [known.find(value) is not None for value in values]
    assert found == [False, False, *[True] * MAX_SECRETS] and known.find(other) is not None
