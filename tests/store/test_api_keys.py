"""API keys: shown once, stored as hashes, and refused with the reason that fits."""

from __future__ import annotations

import hmac
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from include.kreislauf.cli import main
from include.kreislauf.errors import StoreError
from include.kreislauf.store.api_keys import (
    TEXT,
    KeyRefused,
    KeyRing,
    KeyRow,
    Refusal,
    Scope,
    create_key,
    list_keys,
    load_ring,
    new_text,
    revoke,
)
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import api_keys as table

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ADMIN_TOO = [Scope.PREDICT, Scope.ADMIN]


def key_of(
    text: str, *, scopes: set[Scope] | None = None, use_case: str | None = None, **times: datetime
) -> KeyRow:
    """The row of a key that is in no store."""
    return KeyRow(
        text[4:16], "dashboard", sha256(text[17:].encode()).hexdigest(), frozenset(scopes or {Scope.PREDICT}),
        use_case, NOW - DAY, "op", times.get("expires_at"), times.get("revoked_at"),
    )  # fmt: skip


def refusal(
    ring: KeyRing, text: bytes | str | None, scope: Scope = Scope.PREDICT, use_case: str | None = "radar"
) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught:
        ring.check(text, scope, use_case, NOW)
    return caught.value


# -- in the store --


def test_a_new_key_is_listed_and_good_for_its_scopes(store: Store):
    with store.write() as db:
        row, text = create_key(
            db, "dashboard", [Scope.OUTCOME, Scope.PREDICT], "op", NOW, expires_at=NOW + DAY
        )
    with store.read() as db:
        assert list_keys(db) == [row]
        ring = load_ring(db)
    assert (row.name, row.created_by, row.created_at, row.expires_at) == ("dashboard", "op", NOW, NOW + DAY)
    assert row.scopes == {Scope.OUTCOME, Scope.PREDICT}
    for sent in (text, text.encode()):
        assert (
            ring.check(sent, Scope.PREDICT, "radar", NOW) == ring.check(sent, Scope.OUTCOME, None, NOW) == row
        )


def test_the_secret_is_nowhere_in_the_store_nor_in_what_is_printed(store: Store):
    with store.write() as db:
        row, text = create_key(db, "dashboard", [Scope.PREDICT], "op", NOW)
        stored = db.execute(select(table)).one()
    secret = text[17:]
    assert secret not in repr(tuple(stored))
    assert stored.hash == sha256(secret.encode()).hexdigest()
    assert row.hash not in repr(row)


def test_no_key_was_ever_made(store: Store):
    with store.write() as db:
        assert load_ring(db).empty
        row, _ = create_key(db, "dashboard", [Scope.PREDICT], "op", NOW)
        assert not load_ring(db).empty
        revoke(db, row.id, NOW)
        assert not load_ring(db).empty  # or revoking the last key would open the service to all


def test_a_revoked_key_is_refused_and_stays_revoked_since_the_first_time(store: Store):
    with store.write() as db:
        row, text = create_key(db, "dashboard", ADMIN_TOO, "op", NOW - DAY)
        other, other_text = create_key(db, "other", [Scope.PREDICT], "op", NOW)
        assert revoke(db, row.id, NOW).revoked_at == NOW
        assert revoke(db, row.id, NOW + DAY).revoked_at == NOW
        ring = load_ring(db)
    assert refusal(ring, text).kind == Refusal.REVOKED
    assert ring.check(other_text, Scope.PREDICT, "radar", NOW) == other


def test_a_snapshot_does_not_change(store: Store):
    with store.write() as db:
        row, text = create_key(db, "dashboard", [Scope.PREDICT], "op", NOW)
        before = load_ring(db)
        before.check(text, Scope.PREDICT, "radar", NOW)
        revoke(db, row.id, NOW)
        assert before.check(text, Scope.PREDICT, "radar", NOW) == row
        assert refusal(load_ring(db), text).kind == Refusal.REVOKED


def test_revoking_an_unknown_key_says_where_to_look(store: Store):
    with pytest.raises(StoreError, match="keys list"), store.write() as db:
        revoke(db, "0" * 12, NOW)


def test_a_given_text_may_be_given_again(store: Store):
    text = new_text()
    with store.write() as db:
        row, same = create_key(db, "portal", [Scope.PREDICT], "op", NOW, text=text)
        assert same == text
        again, _ = create_key(
            db, "portal", [Scope.PREDICT], "cd", NOW + DAY, text=text, expires_at=NOW + 9 * DAY
        )
        assert again == row
        assert list_keys(db) == [row]


@pytest.mark.parametrize("change", ["name", "scopes", "use_case", "secret", "revoked", "expired"])
def test_a_given_text_whose_id_is_taken_by_something_else(store: Store, change: str):
    text = new_text()
    name, scopes, use_case, given, later = "portal", [Scope.PREDICT], None, text, NOW
    with store.write() as db:
        row, _ = create_key(db, name, scopes, "op", NOW, text=text, expires_at=NOW + DAY)
        match change:
            case "name":
                name = "portal 2"
            case "scopes":
                scopes = ADMIN_TOO
            case "use_case":
                use_case = "radar"
            case "secret":
                given = text[:17] + new_text()[17:]
            case "revoked":
                revoke(db, row.id, NOW)
            case "expired":
                later = NOW + DAY
        before = list_keys(db)
        with pytest.raises(StoreError, match="make another key"):
            create_key(db, name, scopes, "op", later, text=given, use_case=use_case)
        assert list_keys(db) == before  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": " "}, "a key's name"), ({"name": "n" * 129}, "a key's name"), ({"name": "a\nb"}, "a key's name"),
        ({"by": ""}, "a key's by"), ({"use_case": "u" * 65}, "a key's use case"), ({"use_case": ""}, "a key's use case"),
        ({"scopes": []}, "without scopes"), ({"expires_at": NOW}, "would expire"), ({"text": ""}, "not that of a key"),
        ({"text": "krl_" + "0" * 12}, "not that of a key"), ({"text": f"krl_{'G' * 12}_{'a' * 43}"}, "not that of a key"),
        ({"text": f"krl_{'0' * 12}_{'a' * 43}\n"}, "not that of a key"),
    ],
)  # fmt: skip
def test_what_no_key_can_be(store: Store, wrong: dict, told: str):
    values = {"name": "n", "scopes": [Scope.PREDICT], "by": "op", "now": NOW} | wrong
    with pytest.raises(StoreError, match=told) as caught, store.write() as db:
        create_key(db, **values)
    assert caught.value.allowed
    with store.read() as db:
        assert list_keys(db) == []


# -- the check --


@pytest.mark.parametrize("text", [None, "", b""])
def test_no_key_was_sent(text: bytes | str | None):
    assert refusal(KeyRing([key_of(new_text())]), text).kind == Refusal.MISSING


def test_a_key_is_good_until_the_moment_it_expires():
    text = new_text()
    ring = KeyRing([key_of(text, expires_at=NOW)])
    assert ring.check(text, Scope.PREDICT, "radar", NOW - timedelta(microseconds=1))
    assert refusal(ring, text).kind == Refusal.EXPIRED


@given(
    held=st.sets(st.sampled_from(Scope), min_size=1), asked=st.sampled_from(Scope),
    only=st.sampled_from([None, "radar", "prices"]), about=st.sampled_from([None, "radar", "prices"]),
)  # fmt: skip
def test_law_of_scopes_and_use_cases(held: set[Scope], asked: Scope, only: str | None, about: str | None):
    text = new_text()
    row = key_of(text, scopes=held, use_case=only)
    ring = KeyRing([row])
    if asked not in held and Scope.ADMIN not in held:
        refused = refusal(ring, text, asked, about)
        assert refused.kind == Refusal.WRONG_SCOPE
        assert all(scope in refused.allowed for scope in held)
    elif only is not None and only != about:
        refused = refusal(ring, text, asked, about)
        assert (refused.kind, refused.allowed) == (Refusal.WRONG_USE_CASE, only)
    else:
        assert ring.check(text, asked, about, NOW) is row


@given(st.data())
def test_one_changed_byte_makes_a_key_unknown(data: st.DataObject):
    text = new_text().encode()
    ring = KeyRing([key_of(text.decode())])
    position = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != text[position]))
    changed = text[:position] + bytes([byte]) + text[position + 1 :]
    assert refusal(ring, changed).kind == Refusal.UNKNOWN
    assert ring.check(text, Scope.PREDICT, "radar", NOW)


@given(st.one_of(st.binary(min_size=1, max_size=200), st.text(min_size=1, max_size=200)))
def test_whatever_is_sent_is_refused_and_not_repeated(sent: bytes | str):
    ring = KeyRing([key_of(new_text(), revoked_at=NOW), key_of(new_text())])
    refused = refusal(ring, sent)
    assert refused.kind == Refusal.UNKNOWN
    assert refused.text == refusal(KeyRing([]), "x").text


@given(cut=st.integers(1, 59), more=st.binary(min_size=1, max_size=9))
def test_a_key_that_was_cut_or_continued_is_unknown(cut: int, more: bytes):
    text = new_text().encode()
    ring = KeyRing([key_of(text.decode())])
    assert refusal(ring, text[:cut]).kind == Refusal.UNKNOWN
    assert refusal(ring, text + more).kind == Refusal.UNKNOWN


def test_a_wrong_secret_learns_nothing_of_the_key():
    text = new_text()
    wrong = text[:17] + new_text()[17:]
    for row in (key_of(text, revoked_at=NOW), key_of(text, expires_at=NOW), key_of(text, use_case="prices")):
        assert refusal(KeyRing([row]), wrong).text == refusal(KeyRing([]), wrong).text


def test_every_check_compares_a_secret_once_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    real, compared = hmac.compare_digest, []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    text = new_text()
    ring = KeyRing([key_of(text)])
    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring.check(text, Scope.PREDICT, None, NOW)
    for wrong in (text[:17] + new_text()[17:], new_text(), "x"):
        refusal(ring, wrong)
    assert compared == [(32, 32)] * 4


def test_texts_are_well_formed_and_never_the_same():
    texts = {new_text() for _ in range(200)}
    assert len(texts) == len({text[4:16] for text in texts}) == 200
    assert all(TEXT.fullmatch(text) for text in texts)


# -- the command line --


@pytest.fixture
def shell(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store that commands work on."""
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'kreislauf.db')}"
    monkeypatch.setenv("KREISLAUF_STORE_URL", url)
    store = Store(url)
    yield store
    store.engine.dispose()


def test_create_prints_the_key_alone_and_list_never_does(shell: Store, capsys: pytest.CaptureFixture[str]):
    assert (
        main(
            [
                "keys",
                "create",
                "dashboard",
                "--scopes",
                "predict, outcome",
                "--use-case",
                "radar",
                "--by",
                "op",
            ]
        )
        == 0
    )
    printed = capsys.readouterr()
    text = printed.out.removesuffix("\n")
    assert TEXT.fullmatch(text)
    assert text[17:] not in printed.err
    with shell.read() as db:
        row = load_ring(db).check(text, Scope.OUTCOME, "radar", datetime.now(UTC))
    assert (row.name, row.created_by, row.use_case, row.scopes) == (
        "dashboard",
        "op",
        "radar",
        {Scope.PREDICT, Scope.OUTCOME},
    )
    assert row.expires_at is not None
    assert timedelta(days=364) < row.expires_at - datetime.now(UTC) <= timedelta(days=365)

    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.fullmatch(
        rf"{row.id}  good     dashboard  scopes=outcome,predict  use_case=radar  .*\n", listed
    )
    assert text[17:] not in listed
    assert row.hash not in listed

    assert main(["keys", "revoke", row.id]) == 0
    assert main(["keys", "list"]) == 0
    assert f"{row.id}  revoked" in capsys.readouterr().out


def test_a_key_without_end(shell: Store, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "scraper", "--scopes", "metrics", "--days", "0"]) == 0
    assert "without end" in capsys.readouterr().err
    with shell.read() as db:
        assert [one.expires_at for one in list_keys(db)] == [None]


def test_a_deployment_gives_its_key_at_each_start(
    shell: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = new_text()
    (tmp_path / "key").write_text(text + "\n")
    command = ["keys", "create", "portal", "--scopes", "predict", "--secret-file", str(tmp_path / "key")]
    assert [main(command), main(command)] == [0, 0]
    printed = capsys.readouterr()
    assert (printed.out, text[17:] in printed.err) == ("", False)
    with shell.read() as db:
        assert load_ring(db).check(text, Scope.PREDICT, None, datetime.now(UTC)).name == "portal"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "x", "--scopes", "predict,everything"], "no scope is called 'everything'; allowed: predict, outcome, metrics, admin"),
        (["create", "x", "--scopes", ","], "a key without scopes"),
        (["create", "x", "--scopes", "predict", "--days", "-1"], "would expire"),
        (["create", "x", "--scopes", "predict", "--days", "999999999"], "--days: 999999999 days"),
        (["create", "x", "--scopes", "predict", "--secret-file", "/nowhere"], "/nowhere: the key cannot be read"),
        (["revoke", "ffffffffffff"], "no API key has this id"),
    ],
)  # fmt: skip
def test_commands_that_cannot_be_followed(
    shell: Store, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
):
    assert main(["keys", *arguments]) == 1
    assert told in capsys.readouterr().err
    with shell.read() as db:
        assert list_keys(db) == []
